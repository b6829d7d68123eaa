"""Time and peak memory of the command line over a large index.

    python benchmarks/cli.py                    a million copies
    python benchmarks/cli.py --scale 0.01       a hundredth of that, for a first try
    python benchmarks/cli.py --peer PATH        the public program beside it, from its executable
    python benchmarks/cli.py --ours PATH        ours from another environment, such as one without
                                                drivers, which peewee loads where they are

    python benchmarks/cli.py --index sqlite,mariadb,postgres    on private servers too

`million.py` says what is in the index. Each program has its own copy of it, and runs the same
commands in the same order; the public program, on SQLite only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import million

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


def build(kind: str, url: str, conf: Path, scale: float) -> None:
    """Make the index: tables by our own program, rows by SQL."""
    environment = {**os.environ, **configuration(conf, url)}
    subprocess.run(
        [*OURS, "--quiet", "db", "init"], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    million.fill(kind, url, scale)


def configuration(conf: Path, url: str) -> dict[str, str]:
    """Write a configuration file for the index; return the environment that names it."""
    conf.write_text(f"database:\n  url: {url}\n")
    return {"ALPENHORN_CONFIG_FILE": str(conf)}


def best(command: Sequence[str], environment: dict[str, str], times: int) -> Measurement:
    """Measure a command that changes nothing some times; return the quickest run."""
    return min((measure(command, environment) for _ in range(times)), key=lambda m: m.seconds)


def run_all(
    program: Sequence[str], environment: dict[str, str], only: str
) -> Iterator[tuple[str, Measurement]]:
    """Yield what each command took."""
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
    parser.add_argument(
        "--index",
        default="sqlite",
        metavar="KINDS",
        help="comma-separated: sqlite,mariadb,postgres",
    )
    parser.add_argument("--ours", metavar="PATH", help="our executable; default: this environment")
    parser.add_argument("--only", default="", metavar="TEXT", help="commands whose name has TEXT")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        print(f"Load: {load()}")
        print(f"{'program':10}{'command':28}{'s':>8}{'cpu s':>8}{'first':>8}{'MB':>8}{'lines':>8}")
        print(line("python", "import click", best([sys.executable, "-c", "import click"], {}, 3)))
        for kind in options.index.split(","):
            measure_on(kind, Path(directory), options)
        print(f"Load: {load()}")


def measure_on(kind: str, directory: Path, options: argparse.Namespace) -> None:
    """Build the index in one kind of database, run the commands there, print the figures."""
    ours = (options.ours,) if options.ours else OURS
    with million.place(kind, directory) as url:
        began = time.perf_counter()
        build(kind, url, directory / "conf", options.scale)
        took = time.perf_counter() - began
        print(f"{kind}: index built in {took:.1f} s, scale {options.scale:g}")
        programs = {"alpenhorn": (ours, url)}
        if options.peer and kind == "sqlite":
            programs["peer"] = ((options.peer,), million.copy_of(url, directory / "peer.db"))
        for name, (program, place) in programs.items():
            environment = configuration(directory / "conf", place)
            for command, measured in run_all(program, environment, options.only):
                print(line(name, command, measured), flush=True)


if __name__ == "__main__":
    main()
