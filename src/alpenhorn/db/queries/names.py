"""Records found by their names. Names are compared exactly, whatever the database's collation."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import reduce
from itertools import groupby
from typing import Any

from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.queries.common import by_ids, chunks, tuples

_PAIRS = 100
"""Pairs per statement: each acquisition adds a term to the condition, which must not get deep."""

_SUGGESTIONS_FROM = 10_000


def record(model: Any, name: str) -> Any:
    """Return the record of a model that has a unique `name`, or None."""
    found = model.get_or_none(model.name == name)
    return found if found is not None and found.name == name else None


def all_names(model: Any) -> list[str]:
    """Return the names of a model's records (some, if there are very many), for suggestions."""
    query = model.select(model.name).order_by(model.id.desc()).limit(_SUGGESTIONS_FROM)
    return [name for (name,) in tuples(query)]


def file(file_id: int) -> ArchiveFile:
    """Return a file with its acquisition."""
    query = ArchiveFile.select(ArchiveFile, ArchiveAcq).join(ArchiveAcq)
    return query.where(ArchiveFile.id == file_id).get()


def acq_ids(acq_names: Iterable[str]) -> dict[str, int]:
    """Return the ids of those acquisitions that exist, by name."""
    wanted = set(acq_names)
    query = ArchiveAcq.select(ArchiveAcq.name, ArchiveAcq.id).tuples()
    rows = by_ids(query, ArchiveAcq.name, sorted(wanted))
    return {name: acq_id for name, acq_id in rows if name in wanted}


def file_ids(pairs: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return the ids of those files that exist, by acquisition id and name."""
    wanted = set(pairs)
    found: dict[tuple[int, str], int] = {}
    for chunk in chunks(sorted(wanted), _PAIRS):
        terms = [
            (ArchiveFile.acq == acq_id) & (ArchiveFile.name << [name for _, name in group])
            for acq_id, group in groupby(chunk, key=lambda pair: pair[0])
        ]
        query = ArchiveFile.select(ArchiveFile.acq, ArchiveFile.name, ArchiveFile.id)
        for acq_id, name, file_id in tuples(query.where(reduce(operator.or_, terms))):
            found[acq_id, name] = file_id
    return {pair: file_id for pair, file_id in found.items() if pair in wanted}
