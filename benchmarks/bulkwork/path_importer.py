"""An import-detect extension that looks at nothing but the path: the cheapest there can be."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from alpenhorn.extensions import ImportDetectExtension


def detect(path: PurePath, node: Any) -> tuple[str | None, None]:
    """Take ``YYYY/MM/DD/...``: the day is the acquisition."""
    parts = path.parts
    return ("/".join(parts[:3]) if len(parts) > 3 else None), None


def register_extensions() -> list[ImportDetectExtension]:
    """Hand the extension to alpenhorn."""
    return [ImportDetectExtension("PathImporter", "1", detect=detect)]
