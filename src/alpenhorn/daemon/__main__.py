"""``python -m alpenhorn.daemon`` is the same as ``alpenhornd``."""

from alpenhorn.daemon.entry import entry

if __name__ == "__main__":
    entry()
