"""The files that the benchmark works on, as rows of an index and as files on a disk."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

ACQ = "2025/02/21"
SMALL_B = 1024


@dataclass(frozen=True)
class File:
    """One file: its name below the acquisition, its length in bytes, its MD5."""

    name: str
    size_b: int
    md5: str


Tree = tuple[Path, list[File]]
"""A directory, and the files in it."""


def small(root: Path, count: int) -> list[File]:
    """Write files of 1 KiB, no two of them alike."""
    return [_write(root, _name(number), os.urandom(SMALL_B)) for number in range(count)]


def large(root: Path, count: int, size_b: int) -> list[File]:
    """Write large files of random bytes."""
    return [_write_large(root, f"23/0000{number:02d}.dat", size_b) for number in range(count)]


def rewrite(source: Path, root: Path) -> None:
    """Copy a tree and put it onto the disk, so that nothing of this is measured later."""
    command = ["cp", "-a", "--reflink=never", "--", str(source), str(root)]
    if os.spawnvp(os.P_WAIT, command[0], command) != 0:
        raise OSError(f"cannot copy {source} to {root}")
    os.sync()


def _name(number: int) -> str:
    """Names as the example extension expects them: ``hh/mmss.dat``, up to 86,400 of them."""
    directory, rest = divmod(number, 3600)
    return f"{directory:02d}/{rest // 60:02d}{rest % 60:02d}.dat"


def _write(root: Path, name: str, data: bytes) -> File:
    path = root / ACQ / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return File(name, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest())


def _write_large(root: Path, name: str, size_b: int) -> File:
    path = root / ACQ / name
    path.parent.mkdir(parents=True, exist_ok=True)
    md5 = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        for left in range(size_b, 0, -(2**20)):
            block = os.urandom(min(left, 2**20))
            md5.update(block)
            file.write(block)
    return File(name, size_b, md5.hexdigest())
