"""Looks at a node's root, in a process of its own: on a dead mount it may hang for ever.

Run as ``python -m alpenhorn.services.doctor.probe STEP ROOT``; prints what it found as JSON. The
steps are `look` and `try_out`, which leaves nothing behind, and `count`. It imports nothing of
alpenhorn's rooms, so that it starts quickly.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

NODE_FILE = "ALPENHORN_NODE"


def look(root: Path) -> dict[str, Any]:
    """Say what is at `root`, without writing."""
    if not stat.S_ISDIR(root.stat().st_mode):
        raise NotADirectoryError(20, "it is no directory")
    space = os.statvfs(root)
    return {
        "name": _node_name(root),
        "free_b": space.f_bavail * space.f_frsize,
        "free_files": space.f_favail if space.f_files else None,
        "file_system": _file_system(root),
    }


def try_out(root: Path) -> dict[str, Any]:
    """Write, flush, rename and delete a file under a dot name, as a transfer does."""
    first = root / f".alpenhorn-doctor-{os.getpid()}"
    second = first.with_name(f"{first.name}-renamed")
    third = first.with_name(f"{first.name}-linked")
    step = "make a file in"
    try:
        with first.open("xb") as file:
            step = "write and flush a file in"
            file.write(b"alpenhorn doctor\n")
            file.flush()
            os.fsync(file.fileno())
        step = "rename a file in"
        first.rename(second)
        links, leases = _works(lambda: os.link(second, third)), _works(lambda: _lease(second))
        step = "delete a file in"
        for path in (third, second):
            path.unlink(missing_ok=True)
    except OSError as error:
        return {"failed": step, "cause": error.strerror}
    finally:
        for path in (first, second, third):
            _works(path.unlink)
    return {"links": links, "leases": leases}


def count(root: Path) -> dict[str, Any]:
    """Count the directories that a watch of `root` needs, itself included."""
    return {"directories": sum(1 for _ in os.walk(root))}


def _node_name(root: Path) -> str | None:
    """Return the first line of the node file; None if there is none.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        with Path(root, NODE_FILE).open(encoding="utf-8", errors="replace") as file:
            return file.readline(1000).rstrip()
    except FileNotFoundError:
        return None


def _file_system(root: Path) -> str:
    """Return the type of the file system at `root` (proc(5), mountinfo: fields 5 and behind -)."""
    device = root.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = []
    try:
        for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
            fields = line.split()
            where = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
            if root.resolve().is_relative_to(where):
                mounts.append((fields[2] == number, len(where), fields[fields.index("-") + 1]))
    except (OSError, ValueError):
        pass
    return max(mounts)[2] if mounts else "unknown"


def _lease(path: Path) -> None:
    """Take and give back a read lease, by which the daemon sees writers (fcntl(2))."""
    with path.open("rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _works(call: Any) -> bool:
    try:
        call()
    except OSError:
        return False
    return True


def main(step: str, root: str) -> None:
    """Take one step and print what it found; an error is printed as ``error``."""
    try:
        found = {"look": look, "try": try_out, "count": count}[step](Path(root))
    except (OSError, ValueError) as error:
        found = {"error": getattr(error, "strerror", None) or str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
