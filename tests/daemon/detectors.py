"""Import-detect extensions for the tests of the daemon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from alpenhorn.extensions import ImportDetectExtension, loader


def by_first_directory(path: PurePath, node: Any) -> tuple[str | None, Any]:
    """Takes ``acq/...``: every file below a directory belongs to the acquisition of its name."""
    return (path.parts[0], None) if len(path.parts) > 1 else (None, None)


def use(detect: Callable[..., Any] = by_first_directory, atomic: bool = False) -> None:
    """Have one import-detect extension loaded, and no other."""
    loader.reset()
    extension = ImportDetectExtension("Test", "1.0", detect=detect, atomic=atomic)
    extension.full_name = "tests.Test"
    loader.init_extensions([extension], stage=2)


def calling(callback: Callable[..., Any]) -> Callable[..., Any]:
    """A `detect` that takes every file below a directory and gives this callback."""
    return lambda path, node: (by_first_directory(path, node)[0], callback)
