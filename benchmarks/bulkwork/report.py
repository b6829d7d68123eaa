"""The table: for the terminal, and for ``docs/performance.md``."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tabulate import tabulate

from bulkwork.rows import Result
from bulkwork.setting import Setting


@dataclass(frozen=True)
class Fact:
    """A figure that has no yardstick."""

    name: str
    value: str
    target: str


HEADERS = ["work", "yardstick B", "B", "ours", "files/s", "ours ÷ B", "to reach", "spread",
           "index 10× as full", "CPU s", "MB", "public", "ours ÷ public"]  # fmt: skip


def progress(result: Result) -> str:
    """One line for whoever waits."""
    return " | ".join(str(cell) for cell in _cells(result))


def table(results: Sequence[Result], facts: Sequence[Fact], made: Setting, rounds: int) -> str:
    """Make the section of one database."""
    sizes = made.sizes
    kernel = platform.release().partition("-")[0]
    parts = [
        f"{date.today()}, {made.kind}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Linux {kernel}, Python {platform.python_version()}. {sizes.small} files of "
        f"1 KiB, {sizes.large} of {sizes.large_b >> 20} MiB. Medians of {rounds}; spread: "
        "smallest and largest of ours ÷ B; a ratio above 1 means that ours is faster. The public "
        f"program gets {sizes.peer_small} small files."
    ]
    if results:
        parts.append(_markdown([_cells(result) for result in results], HEADERS))
    if facts:
        rows = [[fact.name, fact.value, fact.target] for fact in facts]
        parts.append(_markdown(rows, ["figure", "measured", "to reach"]))
    return "\n\n".join(parts) + "\n"


def write(page: Path, kind: str, text: str) -> None:
    """Replace the section of a database in the page; all else stays."""
    begin, end = f"<!-- begin {kind} -->\n", f"<!-- end {kind} -->\n"
    old = page.read_text()
    before, _, rest = old.partition(begin)
    if not rest:
        page.write_text(f"{old.rstrip()}\n\n## On {kind}\n\n{begin}\n{text}\n{end}")
        return
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def _cells(result: Result) -> list[str]:
    row = result.row
    ratios = [b / o.seconds for b, o in zip(result.yardstick, result.ours, strict=True)]
    ours = statistics.median(took.seconds for took in result.ours)
    rate = result.files / ours
    targets = ([f"{row.ratio:.2g}"] if row.ratio else []) + (
        [f"{row.rate:.0f} files/s"] if row.rate else []
    )
    return [
        row.name,
        row.measured_by,
        f"{statistics.median(result.yardstick):.2f} s",
        f"{ours:.2f} s",
        f"{rate:.0f}",
        f"{statistics.median(ratios):.2f}",
        ", ".join(targets) or "–",
        f"{min(ratios):.2f}–{max(ratios):.2f}",
        _growth(result),
        f"{statistics.median(took.cpu for took in result.ours):.2f}",
        f"{max(took.memory_mb for took in result.ours):.0f}",
        *_peer_cells(result, rate),
    ]


def _growth(result: Result) -> str:
    """How much longer ours takes in an index that held files already."""
    if not result.grown:
        return "–"
    pairs = zip(result.grown, result.ours, strict=True)
    change = statistics.median(grown.seconds / took.seconds for grown, took in pairs) - 1
    return f"{change:+.0%} (≤ 20 %)"


def _peer_cells(result: Result, rate: float) -> list[str]:
    if result.peer_rate is None:
        return [result.peer_failure or "–", "–"]
    public = result.peer_rate
    return [f"{public:.2f} files/s", f"{rate / public:.1f} (≥ {result.row.peer_ratio:g})"]


def _markdown(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    return str(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))
