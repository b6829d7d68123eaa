"""What an option means for a text column (spec: cli.md §4.6)."""

from __future__ import annotations

from collections.abc import Mapping


def given(texts: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the columns to write: absent options are left out, empty text becomes NULL."""
    return {column: text or None for column, text in texts.items() if text is not None}
