"""Read a staged file back and compare it with what the index holds.

This is the evidence without which no copy becomes present (design principle P2). It does not
matter how the bytes came here.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from alpenhorn.common.hashing import md5_of
from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Item, Outcome
from alpenhorn.transfer.directories import Directories
from alpenhorn.transfer.failures import TransferFailed, cause


def verify_staged(staging: Path, item: Item) -> Outcome:
    """Do `verify` for one file below a staging directory."""
    with Directories(staging) as directories:
        return verify(directories, item)


def verify(staged: Directories, item: Item) -> Outcome:
    """Compare length and MD5 of a staged file with the index, as far as the index knows them.

    Call it after `flush_batch` with `reread`, which drops what the kernel keeps in memory, where it
    lets us, so that the bytes come from the medium.

    Returns:
        A success; a SOURCE failure if the bytes differ; a DESTINATION failure if they cannot be
        read here.
    """
    try:
        fd = staged.open(item.path)
        try:
            _compare(fd, item)
        finally:
            os.close(fd)
    except TransferFailed as failed:
        return failed.outcome(item.key)
    except OSError as error:
        message = f"cannot read back the staged file: {cause(error)}"
        return Outcome(item.key, FailureClass.DESTINATION, message)
    return Outcome(item.key)


def _compare(fd: int, item: Item) -> None:
    """Raise TransferFailed unless the open file is the one that the index describes."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise TransferFailed(FailureClass.DESTINATION, "the staged file is not a regular file")
    _expect_length(status.st_size, item)
    md5, length = md5_of(fd, size_b=status.st_size)
    _expect_length(length, item)
    if item.md5 is not None and md5.lower() != item.md5.strip().lower():
        raise TransferFailed(
            FailureClass.SOURCE, f"MD5 mismatch: got {md5}, expected {item.md5.strip().lower()}"
        )


def _expect_length(length: int, item: Item) -> None:
    if item.size_b is not None and length != item.size_b:
        raise TransferFailed(
            FailureClass.SOURCE, f"length mismatch: got {length} B, expected {item.size_b} B"
        )
