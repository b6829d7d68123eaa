"""The speed of bulk work, each figure as a ratio to a yardstick measured right beside it.

    python benchmarks/bulk.py                       all of it; takes a while
    python benchmarks/bulk.py --quick               fewer and smaller, for the day
    python benchmarks/bulk.py --peer DIR            the public program beside it: DIR holds its
                                                    `alpenhorn` and `alpenhornd`
    python benchmarks/bulk.py --index mariadb       on a private MariaDB instead of SQLite
    python benchmarks/bulk.py --only "import small,idle"
                                                    some rows (parts of their names)
    python benchmarks/bulk.py --write               put the tables into docs/performance.md
    python benchmarks/bulk.py --list                names of the rows

Everything lies in a temporary directory below ``--directory``, where the disk should be that of the
data. Pulls go through a real ssh server of our own on this machine.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from bulkwork import backlog, idle, latency, report  # noqa: E402
from bulkwork.rows import ROWS, last_line, measure  # noqa: E402
from bulkwork.setting import Setting, Sizes, setting  # noqa: E402
from bulkwork.targets import Fact, not_measured  # noqa: E402
from programs import public  # noqa: E402

PAGE = HERE.parent / "docs" / "performance.md"

FIGURES: dict[str, Callable[[Setting, int], list[Fact]]] = {
    "many requests": backlog.many_requests,
    "fairness": backlog.beside_large_files,
    "idle": idle.measure,
    "latency": latency.measure,
}
"""What has no yardstick."""


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure bulk work.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, one round")
    parser.add_argument("--peer", type=Path, help="directory of the public program's commands")
    parser.add_argument("--index", choices=("sqlite", "mariadb"), default="sqlite")
    parser.add_argument("--rounds", type=int, help="how often each work is measured")
    parser.add_argument("--only", type=_parts, help="rows with one of these (commas) in the name")
    parser.add_argument("--directory", type=Path, help="where the temporary files lie")
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}")
    parser.add_argument("--list", action="store_true", help="list the rows")
    chosen = parser.parse_args()
    if chosen.write and chosen.only:
        parser.error("--write is for whole tables: leave out --only")
    if chosen.only and (unknown := [part for part in chosen.only if not _names([part])]):
        parser.error(f"no row has {unknown[0]!r} in its name; see --list")
    return chosen


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _names(only: list[str] | None) -> list[str]:
    """The names of the chosen rows, in their order."""
    names = [*(row.name for row in ROWS), *FIGURES]
    return [name for name in names if not only or any(part in name for part in only)]


def main() -> None:
    """Measure, print the table, and write it if that is wanted."""
    # A clean end also for those who lose patience: daemons, servers and files are removed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("stopped"))
    chosen = options()
    if chosen.list:
        print("\n".join(_names(chosen.only)))
        return
    sizes = Sizes.quick() if chosen.quick else Sizes()
    directory = Path(tempfile.mkdtemp(prefix="bulk-", dir=chosen.directory))
    try:
        with setting(directory, chosen.index, sizes) as made:
            text = _measured(made, chosen)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(text)
    if chosen.write:
        report.write(PAGE, chosen.index, text)


def _measured(made: Setting, chosen: argparse.Namespace) -> str:
    """Measure what was chosen; returns the tables."""
    began = time.monotonic()
    peer = public(chosen.peer) if chosen.peer else None
    rounds = chosen.rounds or (1 if chosen.quick else 3)
    names = _names(chosen.only)
    results = []
    for row in ROWS:
        if row.name in names:
            results.append(measure(made, row, rounds, peer))
            _say(report.progress(results[-1]))
    facts: list[Fact] = []
    for name, function in FIGURES.items():
        if name in names:
            found = _figures(name, function, made, rounds)
            _say(*map(report.fact_line, found))
            facts += found
    return report.table(results, facts, made, rounds, (time.monotonic() - began) / 60)


def _figures(
    name: str, function: Callable[[Setting, int], list[Fact]], made: Setting, rounds: int
) -> list[Fact]:
    """Measure; what cannot be measured does not end the others."""
    try:
        return function(made, rounds)
    except RuntimeError as error:
        return [not_measured(name, last_line(error))]


def _say(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
