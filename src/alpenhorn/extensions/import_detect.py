"""Extensions that decide which files are imported, and under which names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, TypeAlias

from alpenhorn.db import ArchiveAcq, ArchiveFile, ArchiveFileCopy
from alpenhorn.extensions.base import Extension

# The node of both is an `alpenhorn.daemon.UpdateableNode`, which is above this room.
ImportCallback: TypeAlias = Callable[
    [ArchiveFileCopy, ArchiveFile | None, ArchiveAcq | None, Any], Any
]
"""Called after an import with the copy, the file and the acquisition if they are new, and the node
(spec: extensions.md §5.2)."""

ImportDetect: TypeAlias = Callable[
    [PurePath, Any], tuple[str | PurePath | None, ImportCallback | None]
]
"""Called with a path relative to the node's root, and the node; returns the acquisition's name,
or None for a file that it does not know, and a callback or None (spec: extensions.md §5.1)."""


class ImportDetectExtension(Extension):
    """Recognises data files (spec: extensions.md §5).

    Args:
        name: see `Extension`, as are the versions and `require_schema`.
        version: see `Extension`.
        detect: recognises a path. Called from several threads; has no side effects; is quick.
        min_version: see `Extension`.
        max_version: see `Extension`.
        require_schema: see `Extension`.
        atomic: when the callback runs (X-2). False: after the import was committed, and again
            after pauses if it raises; any connection sees the new rows. True: inside the
            transaction of the import, on `alpenhorn.db.database_proxy`; if it raises, nothing
            was imported, and the import is tried again later.

    Raises:
        ValueError: `detect` is not callable; see also `Extension`.
    """

    def __init__(
        self,
        name: str,
        version: str,
        detect: ImportDetect,
        min_version: str | None = None,
        max_version: str | None = None,
        require_schema: Mapping[str, int | str] | None = None,
        atomic: bool = False,
    ) -> None:
        super().__init__(name, version, min_version, max_version, require_schema)
        if not callable(detect):
            raise ValueError("detect must be callable.")
        self.detect = detect
        self.atomic = bool(atomic)
