"""Which movers are tried for a route, and in which order (spec: daemon.md §10.8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from alpenhorn.transfer.batch import Endpoint, Item, Limits, Mover, Outcome
from alpenhorn.transfer.bbcp import BbcpMover
from alpenhorn.transfer.copy import CopyMover
from alpenhorn.transfer.link import LinkMover
from alpenhorn.transfer.rsync import RsyncMover


def movers_for(local: bool, may_link: bool, use_bbcp: bool = False) -> list[Mover]:
    """Return the movers to try, best first.

    Args:
        local: the source is a directory on this host.
        may_link: sharing bytes with the source is harmless (neither node is an archive node).
        use_bbcp: the source is remote, bbcp is at both ends, and the files are worth it.
    """
    if not local:
        return [BbcpMover(), RsyncMover()] if use_bbcp else [RsyncMover()]
    return [LinkMover(), CopyMover()] if may_link else [CopyMover()]


def move(
    movers: Sequence[Mover],
    items: Sequence[Item],
    source: Endpoint,
    staging: Path,
    limits: Limits,
) -> Iterator[Outcome]:
    """Move `items` with the first mover that can, file by file.

    What a mover hands back with `Outcome.fallback` goes to the next one; a failure of any other
    kind is final. Yields one outcome per item, with the `method` that made it.
    """
    for number, mover in enumerate(movers, start=1):
        handed_on: set[int] = set()
        for outcome in mover.move(items, source, staging, limits):
            if outcome.fallback and number < len(movers):
                handed_on.add(outcome.key)
            else:
                yield replace(outcome, method=mover.name)
        items = [item for item in items if item.key in handed_on]
        if not items:
            return
