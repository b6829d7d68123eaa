"""What is true: in the Data Index, which the demo itself only reads, and on the disks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from alpenhorn.common.hashing import md5sum_file
from alpenhorn.db import StorageNode, connection
from alpenhorn.demo.site import Site
from alpenhorn.demo.steps import Holds
from alpenhorn.errors import NotFound
from alpenhorn.services import lookup

NODE_FILE = "ALPENHORN_NODE"


def open_index(site: Site) -> None:
    """Connect this process to the demo's index; any attempt to write would fail."""
    connection.bind(site.database())


def length(path: str) -> int:
    """Return the length that the index knows of a file, in bytes."""
    return lookup.file(path).size_b or 0


def difference(site: Site, expected: Holds) -> tuple[str, str] | None:
    """Compare a node with what it should hold.

    Returns:
        None if all is well; else what was expected and what was found, in words.
    """
    return _in_index(expected) or _on_disk(site, expected)


def _in_index(expected: Holds) -> tuple[str, str] | None:
    try:
        node = lookup.node(expected.node)
    except NotFound as error:
        return f"a storage node {expected.node}", error.message
    states = {"healthy": expected.files + expected.spoiled, "corrupt": expected.corrupt}
    for state, files in states.items():
        found = _copies(node, state)
        if found != sorted(files):
            where = f"on {node.name} in the Data Index"
            return f"{_listed(files)} {state} {where}", f"{_listed(found)} {state}"
    return None


def _copies(node: StorageNode, state: str) -> list[str]:
    paths = node.get_all_files(present=state == "healthy", corrupt=state == "corrupt")
    return sorted(map(str, paths))


def _on_disk(site: Site, expected: Holds) -> tuple[str, str] | None:
    root = site.root(expected.node)
    files = expected.files + expected.corrupt + expected.spoiled + expected.unknown
    wanted = _with_parents([NODE_FILE, *files])
    found = sorted(_tree(root))
    if found != wanted:
        return f"{_listed(wanted)} below {root}", _listed(found)
    for path in expected.files:
        found_md5, known_md5 = _md5(root / path), lookup.file(path).md5sum
        if found_md5 != known_md5:
            return f"{root / path} with the MD5 sum {known_md5}", found_md5
    return None


def _md5(path: Path) -> str:
    try:
        return md5sum_file(path) or "a disk that does not answer"
    except OSError as error:  # somebody works on it just now
        return error.strerror or type(error).__name__


def _tree(root: Path) -> Iterable[str]:
    """Yield files, and directories with a slash at the end, relative to `root`."""
    for place, directories, files in os.walk(root):
        below = Path(place).relative_to(root)
        yield from (f"{below / name}/" for name in directories)
        yield from (str(below / name) for name in files)


def _with_parents(files: Iterable[str]) -> list[str]:
    parents = {f"{parent}/" for file in files for parent in Path(file).parents if parent.name}
    return sorted({*files, *parents})


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
