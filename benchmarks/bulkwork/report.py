"""The tables: for the terminal, and for ``docs/performance.md``."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tabulate import tabulate

from bulkwork.rows import Result
from bulkwork.setting import Setting
from bulkwork.targets import Fact, verdict

ROW_HEADERS = ["work", "yardstick B", "B", "ours", "files/s", "ours ÷ B", "spread",
               "index 10× as full", "CPU s", "MB", "public", "ours ÷ public", "to reach",
               "verdict"]  # fmt: skip
FACT_HEADERS = ["figure", "measured", "to reach", "verdict"]


def progress(result: Result) -> str:
    """One line for whoever waits."""
    return " | ".join(_row_cells(result))


def fact_line(fact: Fact) -> str:
    """The same for a figure that has no yardstick."""
    return " | ".join(_fact_cells(fact))


def table(
    results: Sequence[Result], facts: Sequence[Fact], made: Setting, rounds: int, minutes: float
) -> str:
    """Make the section of one database."""
    sizes = made.sizes
    kernel = platform.release().partition("-")[0]
    parts = [
        f"{date.today()}, {made.kind}, {os.cpu_count()} cores, load {made.load:.1f} before, "
        f"Linux {kernel}, Python {platform.python_version()}; all in {minutes:.0f} min. "
        f"{sizes.small:,} files of 1 KiB, {sizes.large} of {sizes.large_b >> 20} MiB. Medians of "
        f"{rounds}, each beside its own B; spread: smallest and largest of ours ÷ B; a ratio above "
        "1 means that ours is faster. Growth is the change of files/s. The public program gets "
        f"{sizes.peer_small} small files, once; rates are compared."
    ]
    if results:
        parts.append(_markdown([_row_cells(result) for result in results], ROW_HEADERS))
    if facts:
        parts.append(_markdown([_fact_cells(fact) for fact in facts], FACT_HEADERS))
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


def _row_cells(result: Result) -> list[str]:
    row = result.row
    measured = ["–"] * 8 if result.failure else _measured(result)
    wanted = _wanted(result)
    judged = verdict(result.missed()) if wanted or result.failure else "–"
    return [row.name, row.measured_by, *measured, *_peer_cells(result), wanted or "–", judged]


def _measured(result: Result) -> list[str]:
    ratios = result.ratios
    return [
        f"{statistics.median(result.yardstick):.2f} s",
        f"{result.seconds:.2f} s",
        f"{result.rate:.0f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f}–{max(ratios):.2f}",
        "–" if result.growth is None else f"{result.growth:+.0%}",
        f"{statistics.median(took.cpu for took in result.ours):.2f}",
        f"{max(took.memory_mb for took in result.ours):.0f}",
    ]


def _wanted(result: Result) -> str:
    """The targets of a row; that of the public program only if it was measured."""
    row = result.row
    parts = [
        f"≥ {row.ratio:g}" if row.ratio else "",
        f"≥ {row.rate:,.0f} files/s" if row.rate else "",
        "growth ≥ −20 %" if row.grows else "",
        f"≥ {row.peer_ratio:g} × public" if row.peer_ratio and result.peer_rate else "",
    ]
    return ", ".join(part for part in parts if part)


def _peer_cells(result: Result) -> list[str]:
    if result.peer_rate is None:
        return [result.peer_failure or "–", "–"]
    ratio = result.peer_ratio
    return [f"{result.peer_rate:.2f} files/s", "–" if ratio is None else f"{ratio:.1f}"]


def _fact_cells(fact: Fact) -> list[str]:
    return [fact.name, fact.told, fact.wanted, verdict(fact.missed())]


def _markdown(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    return str(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))
