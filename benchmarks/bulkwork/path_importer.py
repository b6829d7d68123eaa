"""An import-detect extension that looks at nothing but the path: the cheapest there can be.

For both programs: the day is the acquisition.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

try:
    from alpenhorn.extensions import ImportDetectExtension
except ImportError:  # 2.0.0rc2 calls the older hook, `register_extension`
    ImportDetectExtension = None  # type: ignore[assignment, misc]


def detect(path: PurePath, node: Any) -> tuple[str | None, None]:
    """Take ``YYYY/MM/DD/...``."""
    parts = path.parts
    return ("/".join(parts[:3]) if len(parts) > 3 else None), None


def register_extensions() -> list[Any]:
    """Hand the extension to ours."""
    return [ImportDetectExtension("PathImporter", "1", detect=detect)]


def register_extension() -> dict[str, Any]:
    """Hand the extension to the public program."""
    return {"import-detect": detect}
