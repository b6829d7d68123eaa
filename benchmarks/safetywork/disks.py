"""Disks for storage nodes: file systems of their own that can be pulled out of a running daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_MARK = "SAFETY_OWN_MOUNTS"


def enter_own_mounts() -> None:
    """Go on in a mount namespace of our own, whose mounts end with it; only root can."""
    if os.geteuid() != 0 or _MARK in os.environ:
        return
    os.environ[_MARK] = "1"
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
    os.execvp(words[0], words)


def have_own_mounts() -> bool:
    """May disks be mounted?"""
    return _MARK in os.environ


class Disk:
    """A disk that is mounted at `root`; without the right to mount, a directory that is renamed.

    Args:
        directory: where its mount points are made; must not exist.
    """

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.root.mkdir(parents=True)
        self.platter = directory / "platter"
        self._mounts = have_own_mounts()
        if self._mounts:
            self.platter.mkdir()
            _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(self.platter))
            self.plug_in()

    def plug_in(self) -> None:
        """Mount it."""
        if self._mounts:
            _run("mount", "--bind", str(self.platter), str(self.root))
        else:
            self.root.rmdir()
            self.platter.rename(self.root)

    def pull_out(self) -> Path:
        """Unmount it, whoever uses it; the mount point stays. Returns where its files still are."""
        if self._mounts:
            _run("umount", "--lazy", str(self.root))
        else:
            self.root.rename(self.platter)
            self.root.mkdir()
        return self.platter


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
