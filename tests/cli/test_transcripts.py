"""Each command of the walkthrough, against an index in the state that it has there.

The transcripts are in ``transcripts.txt``. What daemons do between two commands is done here to the
index through the same functions that the daemons call; the whole story is played once, and each
test starts from the snapshot taken before its own command.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.db import connection
from alpenhorn.db.queries import checks, deletion, imports, pending, transfers

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Transcript:
    """One command and what it prints."""

    id: str
    words: list[str]
    output: str
    answer: str

    @property
    def fails(self) -> bool:
        return self.output.startswith("Error:")


def read() -> list[Transcript]:
    """Read ``transcripts.txt``."""
    text = re.sub(r"^#.*\n", "", (HERE / "transcripts.txt").read_text(), flags=re.M)
    found = []
    for part in re.split(r"^(?=\[\w+\] \$ )", text, flags=re.M)[1:]:
        head, _, output = part.partition("\n")
        number, command = re.fullmatch(r"\[(\w+)\] \$ alpenhorn (.*)", head).groups()
        typed = "Continue? [y/N]: y\n"
        answer = "y\n" if typed in output else ""
        # What the user types is echoed by the terminal, not by the program.
        output = output.replace(typed, typed.removesuffix("y\n"))
        found.append(Transcript(number, shlex.split(command), output, answer))
    return found


TRANSCRIPTS = read()


# ---- what happens in between

DATA = {
    "2025/02/21/meta.txt": b"This is the first acquisition in the alpenhorn demo\n",
    "2025/02/21/23/1324.dat": b"0 1 2 3 4 5\n",
    "2025/02/21/23/1330.dat": b"0 1 2 3 4 5\n",
    "2025/02/21/23/1342.dat": b"3 4 5 6 7 8\n",
    "2025/02/21/23/1349.dat": b"9 10 11 12 13\n",
    "2025/02/26/meta.txt": b"This is the second acquisition in the alpenhorn demo\n",
    "2025/02/26/01/0529.dat": b"14 15 16 17 18\n",
    "2025/02/26/02/0011.dat": b"14 15 16 17 18\n",
}


def node(name: str) -> db.StorageNode:
    return db.StorageNode.get(name=name)


def imported(*paths: str) -> None:
    """The daemon on alpenhost1 imports files."""
    found = []
    for path in paths:
        acq, name = path[:10], path[11:]
        data = DATA[path]
        found.append(imports.Found(acq, name, len(data), hashlib.md5(data).hexdigest(), 4096))
    results = imports.register(node("demo_storage1"), found, True)
    assert all(result.added for result in results)
    for request in db.ArchiveFileImportRequest.select():
        imports.complete(request.id)


def transferred(name: str) -> None:
    """The daemon that has node `name` carries out all requests into its group."""
    to = node(name)
    now = time.time()
    requests = pending.ready(to.group, 100)
    assert requests
    done = [transfers.Arrived(r.id, r.file_id, 4096, now - 1, now) for r in requests]
    assert len(transfers.finish(to, done).completed) == len(requests)


def deleted(name: str, count: int) -> None:
    """The daemon that has node `name` deletes what it may."""
    copies = deletion.deletable(node(name), 100)
    taken = deletion.claim(node(name).id, [copy.id for copy in copies], {}).taken
    assert len(taken) == count
    deletion.removed([item.copy.id for item in taken])


def checked(name: str, corrupt: str) -> None:
    """The daemon checks the suspect copies of a node; one is corrupt."""
    states = {True: db.HasFile.CORRUPT, False: db.HasFile.PRESENT}
    verdicts = [
        checks.Verdict(copy.id, states[str(copy.file.path) == corrupt], 4096)
        for copy in checks.suspect(node(name), 100)
    ]
    assert checks.record(node(name), verdicts) == 5


def registered(path: str, moment: str) -> None:
    """Give a file the registration time that the transcript shows."""
    when = datetime.datetime.fromisoformat(moment)
    acq = db.ArchiveAcq.get(name=path[:10])
    query = db.ArchiveFile.update(registered=when)
    query.where(db.ArchiveFile.acq == acq, db.ArchiveFile.name == path[11:]).execute()


def measured(name: str, avail_gb: float, moment: str) -> None:
    """The daemon measures the free space that the transcript shows."""
    when = datetime.datetime.fromisoformat(moment)
    db.StorageNode.update(avail_gb=avail_gb, avail_gb_last_checked=when).where(
        db.StorageNode.name == name
    ).execute()


def initialised(moment: str | None = None) -> None:
    """The daemons complete the pending init requests; or: these get the time that is shown."""
    pending = db.ArchiveFileImportRequest
    query = (
        pending.update(timestamp=datetime.datetime.fromisoformat(moment))
        if moment
        else pending.update(completed=True)
    )
    query.where(pending.path == "ALPENHORN_NODE").execute()


META, DAT = "2025/02/21/meta.txt", "2025/02/21/23/1324.dat"


def before_6() -> None:
    initialised()
    imported(META)
    registered(META, "2025-02-21 23:07:08")


def before_8() -> None:
    imported(DAT)
    registered(DAT, "2025-02-21 23:52:21")


def before_34() -> None:
    initialised()
    transferred("demo_storage3")
    deleted("demo_storage1", 1)


def before_39() -> None:
    imported("2025/02/26/01/0529.dat")
    transferred("demo_storage2")
    transferred("demo_storage3")


def before_44() -> None:
    deleted("demo_storage1", 2)
    imported("2025/02/26/02/0011.dat")
    transferred("demo_storage2")
    transferred("demo_storage3")
    deleted("demo_storage1", 1)


def before_38b() -> None:
    imported("2025/02/26/meta.txt")
    transferred("demo_storage2")


BEFORE: dict[str, Callable[[], Any]] = {
    "6": before_6,
    "8": before_8,
    "11": lambda: measured("demo_storage1", 46.47, "2025-02-22 00:03:36"),
    "15": lambda: imported(*[f"2025/02/21/23/{name}.dat" for name in ("1330", "1342", "1349")]),
    "17": lambda: initialised("2025-02-26 22:54:14"),
    "19": initialised,
    "20": lambda: transferred("demo_storage2"),
    "22": lambda: transferred("demo_storage2"),
    "24": lambda: registered(DAT, "2025-03-06 22:54:37"),
    "27": lambda: checked("demo_storage1", DAT),
    "30": lambda: transferred("demo_storage1"),
    "33": lambda: measured("demo_storage2", 45.38, "2025-03-07 02:27:47"),
    "34": before_34,
    "36": lambda: deleted("demo_storage1", 4),
    "38b": before_38b,
    "39": before_39,
    "40": lambda: transferred("demo_storage3"),
    "43": lambda: measured("demo_storage1", 43.09, "2025-05-07 21:00:55"),
    "44": before_44,
    "46": lambda: transferred("transport1"),
    "47": lambda: transferred("demo_storage1"),
}


# ---- the story, played once


@pytest.fixture(scope="module")
def snapshots(
    tmp_path_factory: pytest.TempPathFactory, terminal_class: Any
) -> Iterator[dict[str, Path]]:
    """The index as it is before each command, by the command's id."""
    home = tmp_path_factory.mktemp("story")
    index, conf = home / "index.db", home / "alpenhorn.conf"
    conf.write_text(f"database:\n  url: sqlite:///{index}\n")
    found: dict[str, Path] = {}
    with pytest.MonkeyPatch.context() as patch:
        config.test_isolation(True)
        terminal = terminal_class(conf, patch)
        for transcript in TRANSCRIPTS:
            BEFORE.get(transcript.id, lambda: None)()
            found[transcript.id] = home / f"{transcript.id}.db"
            copy_database(index, found[transcript.id])
            terminal(*transcript.words, input=transcript.answer)
        connection.close()
    yield found


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite database with what its write-ahead log holds."""
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.id)
def test_the_walkthroughs_command_prints_what_the_walkthrough_shows(
    transcript: Transcript, snapshots: dict[str, Path], run: Any, index_path: Path, conf: Path
) -> None:
    conf.write_text(f"database:\n  url: sqlite:///{index_path}\n")
    copy_database(snapshots[transcript.id], index_path)
    result = run(*transcript.words, input=transcript.answer)
    if transcript.fails:
        assert (result.stderr, result.stdout, result.code) == (transcript.output, "", 1)
    else:
        assert (result.stdout, result.stderr, result.code) == (transcript.output, "", 0)


def test_no_command_of_the_walkthrough_is_left_out() -> None:
    """64 commands: those with a number, and those that the text shows without output."""
    assert len(TRANSCRIPTS) == 64
    assert {"1", "2a", "16a", "33b", "38c", "47", "47a"} <= {t.id for t in TRANSCRIPTS}
