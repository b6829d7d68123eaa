"""An import-detect extension for both programs: the day is the acquisition; "poison" raises."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

try:
    from alpenhorn.extensions import ImportDetectExtension
except ImportError:  # 2.0.0rc2 calls the older hook, `register_extension`
    ImportDetectExtension = None  # type: ignore[assignment, misc]


def detect(path: PurePath, node: Any) -> tuple[str | None, None]:
    """Take ``YYYY/MM/DD/name``."""
    if "poison" in path.name:
        raise ValueError("this extension has a bug")
    parts = path.parts
    return ("/".join(parts[:3]) if len(parts) == 4 else None), None


def register_extensions() -> list[Any]:
    """Hand the extension to ours."""
    return [ImportDetectExtension("DayImporter", "1", detect=detect)]


def register_extension() -> dict[str, Any]:
    """Hand the extension to the public program."""
    return {"import-detect": detect}
