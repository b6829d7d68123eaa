"""The speed of bulk work, each figure as a ratio to a yardstick measured right beside it.

    python benchmarks/bulk.py                       all of it; takes a while
    python benchmarks/bulk.py --quick               fewer and smaller, for the day
    python benchmarks/bulk.py --peer DIR            the public program beside it: DIR holds its
                                                    `alpenhorn` and `alpenhornd`
    python benchmarks/bulk.py --index mariadb       on a private MariaDB instead of SQLite
    python benchmarks/bulk.py --only "import small" some rows (a part of their names)
    python benchmarks/bulk.py --write               put the table into docs/performance.md

Everything lies in a temporary directory below ``--directory``, where the disk should be that of the
data. Pulls go through a real ssh server of our own on this machine.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from bulkwork import backlog, idle, latency, report  # noqa: E402
from bulkwork.rows import ROWS, measure  # noqa: E402
from bulkwork.setting import Setting, Sizes, setting  # noqa: E402
from programs import public  # noqa: E402

PAGE = HERE.parent / "docs" / "performance.md"


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure bulk work.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, one round")
    parser.add_argument("--peer", type=Path, help="directory of the public program's commands")
    parser.add_argument("--index", choices=("sqlite", "mariadb"), default="sqlite")
    parser.add_argument("--rounds", type=int, help="how often each work is measured")
    parser.add_argument("--only", action="append", help="measure rows with this in their names")
    parser.add_argument("--directory", type=Path, help="where the temporary files lie")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    return parser.parse_args()


def main() -> None:
    """Measure, print the table, and write it if that is wanted."""
    # A clean end also for those who lose patience: daemons, servers and files are removed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("stopped"))
    chosen = options()
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
    peer = public(chosen.peer) if chosen.peer else None
    rounds = chosen.rounds or (1 if chosen.quick else 3)
    wanted = [row for row in ROWS if _is_wanted(row.name, chosen.only)]
    results = []
    for row in wanted:
        result = measure(made, row, rounds, peer)
        print(report.progress(result), file=sys.stderr, flush=True)
        results.append(result)
    facts = []
    if _is_wanted("backlog", chosen.only):
        facts += backlog.measure(made)
    if _is_wanted("idle", chosen.only):
        facts += idle.measure(made)
    if _is_wanted("latency", chosen.only):
        facts += latency.measure(made)
    return report.table(results, facts, made, rounds)


def _is_wanted(name: str, only: list[str] | None) -> bool:
    return not only or any(part in name for part in only)


if __name__ == "__main__":
    main()
