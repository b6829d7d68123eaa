"""Make the generated pages of the documentation, or tell which of them are stale.

    python tools/make_docs.py            write them
    python tools/make_docs.py --check    write nothing; exit 1 if one is stale

Each page comes from the thing that it describes, so that the two cannot disagree.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import page_commands
import page_configuration
import page_events

ROOT = Path(__file__).resolve().parent.parent

PAGES: dict[str, Callable[[], str]] = {
    "docs/commands.md": page_commands.text,
    "docs/configuration.md": page_configuration.text,
    "docs/events.md": page_events.text,
    "examples/alpenhorn.conf": page_configuration.example,
}
"""Path below the repository's root, and what makes the page."""


def stale() -> list[str]:
    """Return the paths of the pages that are not what they would be if they were made now."""
    return [path for path, make in PAGES.items() if _present(ROOT / path) != make()]


def write() -> None:
    """Write those pages that are stale."""
    for path in stale():
        (ROOT / path).write_text(PAGES[path](), encoding="utf-8")
        print(f"Wrote {path}")


def _present(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(arguments: list[str]) -> int:
    """Run the program; returns its exit status."""
    if arguments == ["--check"]:
        for path in (found := stale()):
            print(f"{path} is stale; run `make docs`")
        return 1 if found else 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
