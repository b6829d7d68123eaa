"""From the limits that people type to a `FileFilter` (spec: cli.md §4.3, §4.4)."""

from __future__ import annotations

from collections.abc import Sequence

from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.services import file_list, lookup


def file_filter(acqs: Sequence[str], list_path: str | None, root: str | None) -> FileFilter:
    """Build a filter from the options ``--acq`` and ``--file-list``.

    Args:
        acqs: names of acquisitions; none: no limit.
        list_path: the file list, ``-`` for standard input; None: no limit.
        root: root of the operation's node, which list entries may begin with.

    Raises:
        NotFound: an acquisition, or a file of the list, is unknown.
        AlpenhornError: the list cannot be read.
    """
    acq_ids = tuple(acq.id for acq in lookup.acqs(acqs))
    if list_path is not None:
        file_list.select(list_path, root)
    return FileFilter(acq_ids=acq_ids, listed=list_path is not None)
