"""A remote shell without a network: ``python -m alpenhorn.demo.shell [options] host command...``.

rsync starts it as it would start ssh(1). It takes the arguments of ssh, makes sure that the host is
one of the demo's, and becomes ``sh -c "command..."`` on this machine. It starts once per transfer,
so it imports the standard library only, and little of it.
"""

import os
import sys
from collections.abc import Sequence

HOSTS = ("alpenhost1", "alpenhost2", "alpenhost3")
"""The hosts that the demo plays."""

CANNOT_CONNECT = 255
"""Exit status of ssh(1) for errors of its own."""

_TAKE_A_VALUE = "BbcDEeFIiJLlmOopPQRSWw"
"""The options of ssh(1) that are followed by a value."""


def parse(arguments: Sequence[str]) -> tuple[str, str]:
    """Read the arguments of ssh(1).

    Args:
        arguments: ``[-l user] [options] [user@]host command...``.

    Returns:
        The host, and the command as ssh would hand it to the shell there: the words joined with
        blanks.

    Raises:
        ValueError: the text says what is wrong.
    """
    words = list(arguments)
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--":
            break
        if _lacks_value(option):
            if not words:
                raise ValueError(f"option {option} needs a value")
            words.pop(0)
    if not words:
        raise ValueError("no host given")
    host = words.pop(0).rpartition("@")[2]
    if host not in HOSTS:
        raise ValueError(f"no such host in the demo: {host!r}; there are {', '.join(HOSTS)}")
    if not words:
        raise ValueError("no command given")
    return host, " ".join(words)


def _lacks_value(option: str) -> bool:
    """Tell whether the next word belongs to this option or cluster of options, as in ``-ql``."""
    for position, letter in enumerate(option[1:], start=1):
        if letter in _TAKE_A_VALUE:
            return position == len(option) - 1
    return False


def main() -> None:
    """Run the command; does not return."""
    try:
        _, command = parse(sys.argv[1:])
        os.execv("/bin/sh", ["sh", "-c", command])
    except (ValueError, OSError) as error:
        print(f"alpenhorn.demo.shell: {error}", file=sys.stderr)
        sys.exit(CANNOT_CONNECT)


if __name__ == "__main__":
    main()
