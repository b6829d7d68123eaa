"""Head to head: what happens to data in the hands of the public program and of ours.

    python benchmarks/safety.py --peer DIR            DIR holds its `alpenhorn` and `alpenhornd`
    python benchmarks/safety.py                       ours alone
    python benchmarks/safety.py --index mariadb       on a private MariaDB instead of SQLite
    python benchmarks/safety.py --only bit_rot        some scenarios (a part of their names)
    python benchmarks/safety.py --markdown docs/safety.md   put the table into that page

Real daemons, a private ssh server, private databases; all of it in a temporary directory. As root,
nodes rest on file systems of their own in a private mount namespace. Ends with status 1 if ours
has broken a promise.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import peewee as pw  # noqa: E402
from programs import OURS, Program, public  # noqa: E402
from safetywork import arriving, removing  # noqa: E402
from safetywork.disks import enter_own_mounts  # noqa: E402
from safetywork.outcome import CannotRun, Outcome  # noqa: E402
from safetywork.site import Site  # noqa: E402
from tabulate import tabulate  # noqa: E402

import servers  # noqa: E402
import sshd  # noqa: E402

Scenario = Callable[[Site], Outcome]


class Row(NamedTuple):
    """A scenario, and what came of it with each program; ours is the last."""

    scenario: str
    outcomes: list[Outcome]

    def cells(self) -> list[str]:
        """The row as texts."""
        return [self.scenario, *map(str, self.outcomes)]


def scenarios(rounds: int) -> dict[str, Scenario]:
    """All scenarios by name, in the order of the table."""
    return {
        "i bit_rot_in_the_source": arriving.bit_rot_in_the_source,
        "ii one_file_system": removing.one_file_system,
        "ii one_file_system_elsewhere": removing.one_file_system_elsewhere,
        "iv ssh_server_dies": arriving.ssh_server_dies,
        "v repair_by_sync": arriving.repair_by_sync,
        "vi cancelled_clean": removing.cancelled_clean,
        "vii extension_raises": arriving.extension_raises,
        "viii bit_flipped_in_transit": arriving.bit_flipped_in_transit,
        "ix truncated_import": removing.truncated_import,
        "x unmounted_during_verification": removing.unmounted_during_verification,
        "x unmounted_during_deletion": removing.unmounted_during_deletion,
        "iii released_at_once": functools.partial(removing.released_at_once, rounds=rounds),
        "iii released_at_once_slowly": removing.released_at_once_slowly,
    }


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Compare the safety of two programs.")
    parser.add_argument("--peer", type=Path, help="directory of the public program's commands")
    parser.add_argument("--index", choices=("sqlite", "mariadb"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=20, help="of released_at_once (default: 20)")
    parser.add_argument("--only", action="append", help="scenarios with this in their names")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="put the table there")
    parser.add_argument("--keep", action="store_true", help="keep the files, and say where")
    return parser.parse_args()


def main() -> int:
    """Run the scenarios, print the table, and write it if that is wanted."""
    enter_own_mounts()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends all that was started
    chosen = options()
    directory = Path(tempfile.mkdtemp(prefix="safety-"))
    programs = ([public(chosen.peer)] if chosen.peer else []) + [OURS]
    rows: list[Row] = []
    text = ""
    try:
        with ExitStack() as stack:
            database = _database(chosen.index, stack)
            ssh = [
                stack.enter_context(sshd.running(directory / f"sshd-{program.name}"))
                for program in programs
            ]
            both = stack.enter_context(ThreadPoolExecutor(len(programs)))
            for name, scenario in scenarios(chosen.rounds).items():
                if chosen.only and not any(part in name for part in chosen.only):
                    continue
                place = directory / name.split()[1]
                place.mkdir()
                play = functools.partial(_play, scenario, place, database)
                rows.append(Row(name, list(both.map(play, programs, ssh))))
                print(" | ".join(rows[-1].cells()), flush=True)
                text = _table(rows, programs, chosen)
                if chosen.markdown:
                    write(chosen.markdown, ": ".join([chosen.index, *(chosen.only or [])]), text)
    finally:
        if chosen.keep:
            print(f"Everything is in {directory}; disks vanish with this process.")
        else:
            _remove(directory)
    print(f"\n{text}")
    return int(any(row.outcomes[-1].kept is False for row in rows))


def _play(
    scenario: Scenario,
    directory: Path,
    database: servers.Server | None,
    program: Program,
    server: sshd.Sshd,
) -> Outcome:
    """Play a scenario with one program, beside the other; one that cannot be played says why."""
    try:
        with Site(program, directory / program.name, server, database) as site:
            return scenario(site)
    except CannotRun as reason:
        return Outcome(f"not run: {reason}", None)
    except (RuntimeError, pw.DatabaseError) as error:
        return Outcome(f"not measured: {error}", None)


def _database(kind: str, stack: ExitStack) -> servers.Server | None:
    """Start the database server, if there is one."""
    if kind == "sqlite":
        return None
    database = servers.MariaDB()
    stack.callback(database.remove)
    database.start()
    return database


def _remove(directory: Path) -> None:
    """Remove everything; disks that are still mounted vanish with our mount namespace."""
    shutil.rmtree(directory, ignore_errors=True)


def _table(rows: list[Row], programs: list[Program], chosen: argparse.Namespace) -> str:
    heading = f"{date.today()}, index on {chosen.index}."
    table = tabulate(
        [row.cells() for row in rows], ["scenario", *(p.name for p in programs)], tablefmt="github"
    )
    return f"{heading}\n\n{table}\n"


def write(page: Path, kind: str, text: str) -> None:
    """Replace the table of a kind of run in the page, or append it; all else stays."""
    begin, end = f"<!-- begin head to head, {kind} -->\n", f"<!-- end head to head, {kind} -->\n"
    old = page.read_text() if page.exists() else "# Safety\n"
    before, found, rest = old.partition(begin)
    after = rest.partition(end)[2] if found else ""
    start = before if found else f"{before.rstrip()}\n\n### On {kind}\n\n"
    page.write_text(f"{start}{begin}\n{text}\n{end}{after}")


if __name__ == "__main__":
    sys.exit(main())
