"""Register files and correct what is known of them (spec: cli.md §7.2, §7.6)."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from alpenhorn.common import hashing
from alpenhorn.common.names import FILE_NAME_LIMIT, vet_path
from alpenhorn.db import ArchiveAcq
from alpenhorn.db.queries import file_edits
from alpenhorn.db.queries.file_edits import Modified
from alpenhorn.db.queries.file_report import copies, group_states, requests
from alpenhorn.errors import AlpenhornError, AlreadyExists, InvalidName, NotAllowed, NotFound
from alpenhorn.services import lookup

__all__ = [
    "Modified",
    "copies",
    "create",
    "create_from_local",
    "group_states",
    "modify",
    "requests",
]

_MD5 = re.compile("[0-9a-fA-F]{32}")
_SIZE_LIMIT = 2**63 - 1


def create(name: str, acq_name: str, md5: str, size_b: int) -> str:
    """Register a file with known length and MD5.

    Returns:
        Its path.

    Raises:
        InvalidName: size, name or MD5 is against the rules.
        NotFound: there is no such acquisition.
        AlreadyExists: there is such a file.
    """
    check_size(size_b)
    vet_path(name, FILE_NAME_LIMIT)
    digest = check_md5(md5)
    acq = _acq_without(name, acq_name)
    file_edits.create(acq, name, size_b, digest)
    return f"{acq.name}/{name}"


def create_from_local(name: str, acq_name: str, prefix: Path) -> str:
    """Register a file with length and MD5 of a file on this machine.

    Args:
        name: name within the acquisition.
        acq_name: the acquisition.
        prefix: directory below which the file lies at its path.

    Returns:
        Its path.

    Raises:
        AlpenhornError: as `create`, or the file cannot be read.
    """
    vet_path(name, FILE_NAME_LIMIT)
    acq = _acq_without(name, acq_name)
    md5, size_b = _hash(prefix / acq.name / name)
    file_edits.create(acq, name, size_b, md5)
    return f"{acq.name}/{name}"


def modify(path: str, md5: str | None, size_b: int | None, recheck: bool) -> Modified:
    """Correct length or MD5 of a file, and have its copies checked again.

    Args:
        path: the file.
        md5: the right MD5; None: as it is.
        size_b: the right length; None: as it is.
        recheck: whether copies are to be checked.

    Raises:
        InvalidName: size or MD5 is against the rules.
        NotFound: there is no such file.
    """
    wished: dict[str, Any] = {}
    if size_b is not None:
        check_size(size_b)
        wished["size_b"] = size_b
    if md5 is not None:
        wished["md5sum"] = check_md5(md5)
    return file_edits.modify(lookup.file(path).id, wished, recheck)


def check_size(size_b: int) -> None:
    """Refuse what is no length of a file.

    Raises:
        InvalidName: it is negative, or more than a column holds.
    """
    if size_b < 0:
        raise InvalidName(f"negative file size: {size_b}")
    if size_b > _SIZE_LIMIT:
        raise InvalidName(f"file size is too large: {size_b}, limit is {_SIZE_LIMIT}")


def check_md5(md5: str) -> str:
    """Return an MD5 in lower case (D14).

    Raises:
        InvalidName: it does not consist of exactly 32 hexadecimal digits.
    """
    if not _MD5.fullmatch(md5):
        raise InvalidName(f'invalid hash "{lookup.shown(md5)}": need 32 hexadecimal digits')
    return md5.lower()


def _acq_without(name: str, acq_name: str) -> ArchiveAcq:
    """Return an acquisition that has no file of that name.

    A file of another acquisition at the same path is in the way too: both would be one file on
    every node.
    """
    acq = lookup.acq(acq_name)
    path = f"{acq.name}/{name}"
    if lookup.resolve_files([path]):
        raise AlreadyExists(f'File "{path}" already exists.')
    return acq


def _hash(path: Path) -> tuple[str, int]:
    """Return MD5 and length of a local file, which must not change meanwhile."""
    shown = lookup.shown(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotAllowed(f'not a regular file: "{shown}"')
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            md5, length = hashing.md5_of(file)
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        raise NotFound(f'no such file: "{shown}"') from None
    except OSError as error:
        raise AlpenhornError(f'Unable to read "{shown}": {error.strerror or error}') from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise NotAllowed(f'File "{shown}" was changed while it was read; please try again.')
    return md5, length
