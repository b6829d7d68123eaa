"""``python -m alpenhorn`` is the same as ``alpenhorn``."""

from alpenhorn.cli import entry

if __name__ == "__main__":
    entry()
