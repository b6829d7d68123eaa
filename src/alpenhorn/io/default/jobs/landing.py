"""How a batch lands: staged, flushed, read back, renamed into place, directories flushed.

Only what went through all of it may become present in the index (design P2). From the flush on all
of it happens on the medium that the transfer began with, whatever lies at the node's root by then.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from alpenhorn.common import config
from alpenhorn.errors import FailureClass
from alpenhorn.io.default.tree import STAGING_PREFIX, Tree
from alpenhorn.transfer.batch import Item, Outcome
from alpenhorn.transfer.below import parent_of
from alpenhorn.transfer.directories import Directories
from alpenhorn.transfer.flush import flush_batch
from alpenhorn.transfer.verify import verify

if TYPE_CHECKING:
    from alpenhorn.io.default.medium import HeldMedium
    from alpenhorn.io.default.node import DefaultNodeIO

Outcomes = dict[int, Outcome]


def staging_name(request_id: int) -> str:
    """Return the name of the staging directory of a batch that begins with this request."""
    return f"{STAGING_PREFIX}{request_id}"


@contextmanager
def staging_for(io: DefaultNodeIO, items: Sequence[Item]) -> Iterator[Path]:
    """Provide the staging directory of a batch; its name lets the next attempt find it again.

    Raises:
        OSError: it cannot be made.
    """
    staging = Path(io.tree.root, staging_name(items[0].key))
    staging.mkdir(mode=0o700, exist_ok=True)
    if staging.is_symlink():  # planted: it could lead outside (P9)
        raise NotADirectoryError(errno.ENOTDIR, "the staging directory is a link", str(staging))
    yield staging
    # Not in a finally: after an exception the tidy-up, or the next attempt, takes care of it.
    if not _worth_resuming(staging, items):
        shutil.rmtree(staging, ignore_errors=True)


def _worth_resuming(staging: Path, items: Sequence[Item]) -> bool:
    """Keep partial data of a big file that travels alone."""
    if len(items) > 1 or (items[0].size_b or 0) <= config.value("daemon.single_file_bytes"):
        return False
    return any(path.is_file() for path in staging.rglob("*"))


def land(
    io: DefaultNodeIO, medium: HeldMedium, staging: str, items: Sequence[Item], outcomes: Outcomes
) -> None:
    """Bring what arrived in the staging directory to its place; note failures in `outcomes`.

    Args:
        io: node I/O of the destination.
        medium: its medium, as the transfer found it when it began.
        staging: name of the staging directory.
        items: the batch.
        outcomes: what came of each item.
    """
    tree = medium.tree
    arrived = [item for item in items if outcomes[item.key].ok]
    try:
        with parent_of(tree.base, f"{staging}/x") as (staging_fd, _):
            good = _good(staging_fd, arrived, outcomes)
    except OSError as error:
        fail_all(arrived, outcomes, f"cannot flush to the medium: {error.strerror}")
        return
    if good and not medium.is_there():
        fail_all(good, outcomes, "the medium is not there any more")
        return
    installed = _install(io, tree, staging, good, outcomes)
    try:
        tree.flush_parents([item.path for item in installed])
    except OSError as error:
        fail_all(installed, outcomes, f"cannot flush to the medium: {error.strerror}")


def _good(staging_fd: int, arrived: Sequence[Item], outcomes: Outcomes) -> list[Item]:
    """Flush what was staged, read it back, and return what is as it should be.

    Raises:
        OSError: it cannot be flushed.
    """
    for linked in (False, True):  # what was linked is not read: see `_compare`
        paths = [i.path for i in arrived if (outcomes[i.key].method == "link") == linked]
        flush_batch(staging_fd, paths, reread=not linked)
    with Directories(staging_fd) as staged:
        return [item for item in arrived if _is_good(staged, item, outcomes)]


def fail_all(items: Sequence[Item], outcomes: Outcomes, message: str) -> None:
    """Note that the destination is to blame for all these items."""
    for item in items:
        outcomes[item.key] = Outcome(item.key, FailureClass.DESTINATION, message)


def _is_good(staged: Directories, item: Item, outcomes: Outcomes) -> bool:
    """Read a staged file back; one that differs is removed, so that it is never resumed."""
    outcome = _compare(staged, item, outcomes[item.key])
    if not outcome.ok:
        outcomes[item.key] = outcome
        with suppress(FileNotFoundError):
            directory, name = staged.parent(item.path)
            os.unlink(name, dir_fd=directory)
    return outcome.ok


def _compare(staged: Directories, item: Item, outcome: Outcome) -> Outcome:
    """Compare with the index; a link shares its source's bytes and so its state (P2)."""
    if outcome.method == "link":
        status = staged.stat(item.path)
        if item.size_b is None or status.st_size == item.size_b:
            return outcome
    return verify(staged, item)


def _install(
    io: DefaultNodeIO, tree: Tree, staging: str, items: Sequence[Item], outcomes: Outcomes
) -> list[Item]:
    """Rename files into place; returns those that are there now."""
    installed: list[Item] = []
    for item in items:
        io.expect(item.path)
    results = tree.install(staging, [item.path for item in items])
    for item, (_, error) in zip(items, results, strict=True):
        if error is None:
            installed.append(item)
        else:
            fail_all([item], outcomes, f"cannot rename into place: {error.strerror}")
    return installed
