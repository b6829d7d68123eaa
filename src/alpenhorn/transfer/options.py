"""What the I/O config of a node says about the way to it: the keys of ``node create --io-var``.

The values come from a shared database and end up on command lines, so only what is listed as
allowed here passes. Unknown keys are left to others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alpenhorn.errors import StorageError
from alpenhorn.transfer import timetable
from alpenhorn.transfer.timetable import UNLIMITED, Timetable

# Neither a blank nor any character that is special to a shell, nor an option.
_PROGRAM = re.compile(r"[\w/][\w./+-]*", re.ASCII)
# Neither quotes nor what ssh expands: %, ${...}.
_KEY_FILE = re.compile(r"(~/|/)[\w ./@+=:,-]*[\w./@+=:,-]")

_YES_NO = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class RouteOptions:
    """How to reach a node, as far as its I/O config says.

    Args:
        port: port of the ssh server there; None: as ssh's configuration says.
        identity: private key on the host that logs in; None: as ssh's configuration says.
        rsync_path: the program rsync there; None: the one in the PATH.
        compress: compress on the way.
        bbcp: use bbcp for large files where both ends have it.
        bandwidth: limit for transfers from and to the node.
    """

    port: int | None = None
    identity: str | None = None
    rsync_path: str | None = None
    compress: bool = False
    bbcp: bool = True
    bandwidth: Timetable = UNLIMITED


NO_OPTIONS = RouteOptions()


def read_options(config: Mapping[str, Any]) -> RouteOptions:
    """Read the keys of a node's I/O config that concern its routes.

    Raises:
        StorageError: a value is not acceptable; names the key and what would be.
    """
    found = {}
    for key, (field, read) in _KEYS.items():
        if config.get(key) is None:
            continue
        try:
            found[field] = read(config[key])
        except ValueError as error:
            raise StorageError(f"invalid {key} in the I/O config: {error}") from None
    return RouteOptions(**found)


def _port(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 65535:
        raise ValueError(f"{_shown(value)} is no port: use a number from 1 to 65535")
    return number


def _key_file(value: object) -> str:
    if not isinstance(value, str) or not _KEY_FILE.fullmatch(value):
        raise ValueError(
            f"{_shown(value)} is no key file: use an absolute path, or one that begins with ~/,"
            " of letters, digits, blanks and _ . / @ + = : , -"
        )
    return value


def _program(value: object) -> str:
    if not isinstance(value, str) or not _PROGRAM.fullmatch(value):
        raise ValueError(
            f"{_shown(value)} is no program: use its path, of letters, digits and _ . / + -"
        )
    return value


def _yes_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _YES_NO:
        return _YES_NO[value.lower()]
    raise ValueError(f"{_shown(value)} is neither yes nor no")


def _shown(value: object) -> str:
    """Write a value from outside for a message: in one line, and not too long."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_KEYS: Mapping[str, tuple[str, Callable[[object], Any]]] = {
    "ssh_port": ("port", _port),
    "ssh_identity": ("identity", _key_file),
    "rsync_path": ("rsync_path", _program),
    "compress": ("compress", _yes_no),
    "bbcp": ("bbcp", _yes_no),
    "bandwidth": ("bandwidth", timetable.parse),
}
