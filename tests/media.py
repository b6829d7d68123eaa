"""A small file system of its own, to be unmounted, exchanged, made read-only or filled.

Without the right to mount, tests that ask for one are skipped.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


class Medium:
    """A tmpfs at a node's root; a context manager that leaves nothing mounted."""

    def __init__(self, root: Path, size: str = "1m") -> None:
        self.root = root
        self.size = size

    def __enter__(self) -> Medium:
        self.root.mkdir()
        self.mount()
        return self

    def __exit__(self, *exception: object) -> None:
        while os.path.ismount(self.root):
            self.unmount()

    def mount(self) -> None:
        """Mount an empty one, over what is there, if anything."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={self.size}", "alpenhorn", str(self.root)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("mounting a tmpfs needs root and mount(8)")

    def remount(self, options: str) -> None:
        """Change how it is mounted."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.root)], check=True)

    def unmount(self) -> None:
        """Take it away, though somebody may use it."""
        subprocess.run(["umount", "--lazy", str(self.root)], check=True)

    def exchange(self, name: str, **files: bytes) -> None:
        """Put another one in its place, that calls itself the node's."""
        if os.path.ismount(self.root):
            self.unmount()
        self.mount()
        (self.root / "ALPENHORN_NODE").write_text(f"{name}\n")
        for path, data in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def fill(self) -> Path:
        """Leave no byte free; returns the file that is in the way."""
        ballast = self.root / ".ballast"
        try:
            with ballast.open("wb", buffering=0) as stream:
                while stream.write(bytes(1 << 12)):
                    pass
        except OSError:
            return ballast
        raise AssertionError("the disk has no end")
