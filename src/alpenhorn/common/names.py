"""Rules for names, paths and addresses that come from outside: rows, file names, options.

They are hostile until they passed here: everything that is built from them (paths below a node
root, operands of rsync) relies on these rules.
"""

from __future__ import annotations

import re

from alpenhorn.errors import InvalidName

# Widths of the columns in schema version 2 (spec: data-index.md W-25).
ACQ_NAME_LIMIT = 64
FILE_NAME_LIMIT = 255
REQUEST_PATH_LIMIT = 1024

# C0 and C1 controls, DEL, and Unicode's line and paragraph separators: they forge log lines
# and tables. Lone surrogates stand for bytes that are no UTF-8; no database stores them.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNDECODABLE = re.compile("[\ud800-\udfff]")

# Lists of what is allowed, since lists of what is dangerous are never complete.
_USERNAME = re.compile(r"\w[\w.+-]*")
_HOST = re.compile(r"\w[\w.-]*")
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+(%[\w.-]+)?\]")


def invalid_import_path(name: str) -> str | None:
    """Tell why `name` cannot be an acq name, a file name or the two joined.

    Args:
        name: a path relative to a node root.

    Returns:
        The reason, or None for a good name (spec: extensions.md §6, tests in that order).
    """
    if not name:
        return "empty path"
    if name in (".", ".."):
        return "invalid path"
    if name.startswith(("/", "./", "../")):
        return "invalid start"
    if name.endswith(("/", "/.", "/..")):
        return "invalid end"
    if "//" in name:
        return "repeated /"
    if "/./" in name:
        return 'invalid path element "."'
    if "/../" in name:
        return 'invalid path element ".."'
    return None


def vet_path(name: str, limit: int) -> None:
    """Refuse a hostile or over-long name; return silently for a good one.

    Args:
        name: an acq name, a file name, or a path relative to a node root.
        limit: most characters that its column holds, e.g. `ACQ_NAME_LIMIT`.

    Raises:
        InvalidName: one line with the name and the reason.
    """
    reason = invalid_import_path(name) or _unstorable(name, limit)
    if reason:
        raise InvalidName(f"invalid name {_shown(name)}: {reason}")


def safe_address(username: str | None, address: str | None) -> str:
    """Join user and host for a command line, if neither can be mistaken for anything else.

    Args:
        username: letters, digits and ``_ . + -``, beginning with one of the first three kinds.
        address: a host name, an IPv4 address, or an IPv6 address in brackets.

    Returns:
        ``user@address``, to be used as an operand (still after ``--``).

    Raises:
        InvalidName: one of them is missing or has characters beyond these.
    """
    if not username or not _USERNAME.fullmatch(username):
        raise InvalidName(
            f"invalid user name {_shown(username)}: use letters, digits and _ . + -"
            if username
            else "no user name"
        )
    if not address or not (_HOST.fullmatch(address) or _IPV6.fullmatch(address)):
        raise InvalidName(
            f"invalid address {_shown(address)}: use a host name, an IPv4 address,"
            " or an IPv6 address in brackets"
            if address
            else "no address"
        )
    return f"{username}@{address}"


def unprintable(text: str) -> bool:
    """Tell whether `text` has characters that no path needs and that forge log lines and tables."""
    return bool(_CONTROL.search(text) or _UNDECODABLE.search(text))


def _unstorable(name: str, limit: int) -> str | None:
    if len(name) > limit:
        return f"{len(name)} characters, limit is {limit}"
    if _CONTROL.search(name):
        return "control character"
    if _UNDECODABLE.search(name):
        return "not valid UTF-8"
    return None


def _shown(name: str) -> str:
    """Quote `name` for a message: short enough, in one line, printable."""
    text = name if len(name) <= 80 else f"{name[:77]}..."
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return f'"{escaped}"'
