"""Time and peak memory of the command line over a large index.

    python benchmarks/cli.py                    a million copies
    python benchmarks/cli.py --scale 0.01       a hundredth of that, for a first try
    python benchmarks/cli.py --peer PATH        the public program beside it, from its executable
    python benchmarks/cli.py --ours PATH        ours from another environment, such as one without
                                                drivers, which peewee loads where they are

The index is a SQLite file in a temporary directory: 500,000 files in 500 acquisitions, and a copy
of each on two nodes. On node `n2`, 200,000 copies were removed, so that as many can be synced from
`n1` again; another 200,000 files were registered long ago, so that a clean can be limited to them.
Each program gets its own copy of the index, and runs the same commands in the same order.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FILES = 500_000
PART = 200_000
FILES_PER_ACQ = 1000

OURS = (sys.executable, "-m", "alpenhorn")

COMMANDS: dict[str, tuple[str, ...]] = {
    "--version": ("--version",),
    "--help": ("--help",),
    "node stats": ("node", "stats"),
    "node stats --extra-stats": ("node", "stats", "--extra-stats"),
    "file list": ("file", "list", "--node", "n1"),
    "file list --details": ("file", "list", "--node", "n1", "--details"),
    "node sync": ("node", "sync", "n1", "g2", "--force"),
    "node sync, again": ("node", "sync", "n1", "g2", "--force"),
    "node clean --now": ("node", "clean", "n1", "--now", "--force", "--days", "365"),
    "node verify --all --check": ("node", "verify", "n1", "--all", "--check"),
    "acq list": ("acq", "list"),
}

TARGETS = {
    "node stats": "0.5 s",
    "node stats --extra-stats": "as node stats",
    "file list": "5 s, first line 0.5 s, 120 MB",
    "node sync": "3 s",
    "node clean --now": "3 s",
}
"""At full size, on a machine that has nothing else to do. Version: twice `import click`."""

NUMBERS = "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {})"


@dataclass(frozen=True)
class Measurement:
    """What one command took."""

    seconds: float
    cpu: float
    """Seconds of processor time, which tell more than the others on a busy machine."""
    first_line: float
    """Seconds until the first line of output; not a number if there was none."""
    memory_mb: float
    lines: int
    last_line: str
    status: int


def measure(command: Sequence[str], environment: dict[str, str]) -> Measurement:
    """Run a command, its output into a pipe that is read at once."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    assert process.stdout
    first, lines, last = float("nan"), 0, b""
    for line in process.stdout:
        if not lines:
            first = time.perf_counter() - began
        lines, last = lines + 1, line
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    memory = usage.ru_maxrss / 1024
    shown = last.decode(errors="replace").strip()
    cpu = usage.ru_utime + usage.ru_stime
    return Measurement(seconds, cpu, first, memory, lines, shown, process.returncode)


def build(path: Path, scale: float) -> None:
    """Make the index: tables by our own program, rows by SQL."""
    files, part = int(FILES * scale), int(PART * scale)
    environment = {**os.environ, **configuration(path)}
    subprocess.run(
        [*OURS, "--quiet", "db", "init"], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    database = sqlite3.connect(path)
    with database:
        for statement in rows(files, part):
            database.execute(statement)
    database.execute("ANALYZE")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def rows(files: int, part: int) -> Iterator[str]:
    """Yield the statements that fill the tables."""
    numbers, acqs = NUMBERS.format(files), NUMBERS.format(-(-files // FILES_PER_ACQ))
    yield "INSERT INTO storagegroup (id, name, io_class) VALUES (1, 'g1', NULL), (2, 'g2', NULL)"
    yield """INSERT INTO storagenode
        (id, name, root, host, group_id, active, auto_import, auto_verify, storage_type,
         min_avail_gb)
        VALUES (1, 'n1', '/n1', 'here', 1, 1, 0, 0, 'F', 0),
               (2, 'n2', '/n2', 'here', 2, 1, 0, 0, 'A', 0)"""
    yield f"""{acqs} INSERT INTO archiveacq (id, name)
        SELECT i, printf('2025/%02d/%02d/%04d', i % 12 + 1, i % 28 + 1, i) FROM numbers"""
    yield f"""{numbers} INSERT INTO archivefile (id, acq_id, name, size_b, md5sum, registered)
        SELECT i, (i - 1) / {FILES_PER_ACQ} + 1, printf('%02d/%08d.dat', i % 24, i),
            1000000 + i, printf('%032x', i),
            CASE WHEN i <= {part} THEN '2020-01-01 00:00:00'
                 ELSE strftime('%Y-%m-%d %H:%M:%S', 'now') END
        FROM numbers"""
    for node in (1, 2):
        gone = f"i > {files - part} AND {node} = 2"
        yield f"""{numbers} INSERT INTO archivefilecopy
            (file_id, node_id, has_file, wants_file, ready, size_b, last_update)
            SELECT i, {node}, CASE WHEN {gone} THEN 'N' ELSE 'Y' END,
                CASE WHEN {gone} THEN 'N' ELSE 'Y' END, 1, 1000448 + i, '2025-01-01 00:00:00'
            FROM numbers"""


def configuration(path: Path) -> dict[str, str]:
    """Write a configuration file for the index; return the environment that names it."""
    conf = path.with_suffix(".conf")
    conf.write_text(f"database:\n  url: sqlite:///{path}\n")
    return {"ALPENHORN_CONFIG_FILE": str(conf)}


def best(command: Sequence[str], environment: dict[str, str], times: int) -> Measurement:
    """Measure a command that changes nothing some times; return the quickest run."""
    return min((measure(command, environment) for _ in range(times)), key=lambda m: m.seconds)


def run_all(program: Sequence[str], index: Path, only: str) -> Iterator[tuple[str, Measurement]]:
    """Yield what each command took."""
    environment = configuration(index)
    for name, arguments in COMMANDS.items():
        if only in name:
            times = 1 if {"--force", "--details"} & {*arguments} else 3
            yield name, best([*program, *arguments], environment, times)


def load() -> str:
    """Say how busy the machine is."""
    return " ".join(f"{figure:.2f}" for figure in os.getloadavg()) + f" on {os.cpu_count()} cores"


def line(program: str, name: str, took: Measurement) -> str:
    """Write a line of the report."""
    first = f"{took.first_line:8.3f}" if took.lines else "       -"
    failed = f"  EXIT {took.status}" if took.status else ""
    last = took.last_line if took.lines < 30 else ""
    return (
        f"{program:10}{name:28}{took.seconds:8.3f}{took.cpu:8.3f}{first}{took.memory_mb:8.1f}{took.lines:8}"
        f"{failed}  {TARGETS.get(name, ''):32}{last[:60]}"
    ).rstrip()


def main() -> None:
    """Build the index, run the commands, print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="size of the index, 1: a million")
    parser.add_argument("--peer", metavar="PATH", help="executable of the public program")
    parser.add_argument("--ours", metavar="PATH", help="our executable; default: this environment")
    parser.add_argument("--only", default="", metavar="TEXT", help="commands whose name has TEXT")
    options = parser.parse_args()
    programs: dict[str, Sequence[str]] = {"alpenhorn": (options.ours,) if options.ours else OURS}
    if options.peer:
        programs["peer"] = (options.peer,)
    with tempfile.TemporaryDirectory() as directory:
        original = Path(directory) / "original.db"
        began = time.perf_counter()
        build(original, options.scale)
        print(f"Index built in {time.perf_counter() - began:.1f} s, scale {options.scale:g}.")
        print(f"Load: {load()}")
        print(f"{'program':10}{'command':28}{'s':>8}{'cpu s':>8}{'first':>8}{'MB':>8}{'lines':>8}")
        print(line("python", "import click", best([sys.executable, "-c", "import click"], {}, 3)))
        for name, program in programs.items():
            index = Path(directory) / f"{name}.db"
            shutil.copy(original, index)
            for command, took in run_all(program, index, options.only):
                print(line(name, command, took), flush=True)
        print(f"Load: {load()}")


if __name__ == "__main__":
    main()
