"""Wrong command lines: one line says what is wrong, the exit code is right, nothing is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db

LONG = "x" * 300
JSON = "--io-config"
HUGE = "9" * 40

# Arguments, and what the error line says.
FAILURES = {  # exit 1
    "node list --group nowhere": "such storage group",
    "node show N1": 'No such storage node: "N1". Did you mean "n1"?',
    "node show demo_storag1": 'Did you mean "demo_storage1"?',
    "node stats --group demo_storag1": 'Did you mean "demo_storage1"?',
    "group show demo_strage1": 'Did you mean "demo_storage1"?',
    "acq show 2025/02/12": 'No such acquisition: "2025/02/12". Did you mean "2025/02/21"?',
    "acq list --node demo_storag1": 'Did you mean "demo_storage1"?',
    "acq files 2025-02-21": 'Did you mean "2025/02/21"?',
    "file list --acq 2025/02/2": 'Did you mean "2025/02/21"?',
    "file list --absent-node nowhere": 'such storage node: "nowhere"',
    "file list --from n1 --to nowhere": "such storage group",
    "file find --node nowhere": "such storage node",
    "file show nowhere/f": 'No such file: "nowhere/f"',
    "file show 2025/02/21/ghost.dat": "No such file",
    "file show meta.txt": "No such file",
    "file show /2025/02/21/meta.txt": "No such file",
    "file history 2025/02/21/ghost.dat": "No such file",
    "file state 2025/02/21/meta.txt nowhere": "such storage node",
    "file verify 2025/02/21/ghost.dat n1": "No such file",
    "file sync 2025/02/21/meta.txt --from n1 --to nowhere": "such storage group",
    "file clean 2025/02/21/meta.txt --node nowhere": "such storage node",
    "file import f nowhere": "such storage node",
    "file modify 2025/02/21/meta.txt --md5 123": "invalid hash",
    "file modify 2025/02/21/meta.txt --md5=": "invalid hash",
    "file modify 2025/02/21/meta.txt --size -1": "negative file size",
    f"file modify 2025/02/21/meta.txt --size {HUGE}": "too large",
    f"file create f 2025/02/21 --md5 0x{'0' * 30} --size 1": "invalid hash",
    f"file create f nowhere --md5 {'0' * 32} --size 1": "such acquisition",
    f"file create ../f 2025/02/21 --md5 {'0' * 32} --size 1": "invalid name",
    f"file create meta.txt 2025/02/21 --md5 {'0' * 32} --size 1": "already exists",
    f"file create {LONG} 2025/02/21 --md5 {'0' * 32} --size 1": "invalid name",
    "file create ghost 2025/02/21 --from-file --prefix /nowhere": "ghost",
    "acq create <empty>": "invalid name",
    "acq create .": "invalid name",
    "acq create ..": "invalid name",
    "acq create /a": "invalid name",
    "acq create a/": "invalid name",
    "acq create a//b": "invalid name",
    "acq create a/./b": "invalid name",
    "acq create a/../b": "invalid name",
    "acq create a\nb": "invalid name",
    "acq create a\x1b[2Jb": "invalid name",
    f"acq create {LONG}": "invalid name",
    "acq create 2025/02/21": "already exists",
    "group create <empty>": "it is empty",
    "group create <blanks>": "it is empty",
    "group create a\nb": "control character",
    "group create a\x00b": "control character",
    f"group create {LONG}": "limit is 64",
    "group create n1": "already exists",
    "group rename n1 n2": "already exists",
    f"group rename n1 {LONG}": "limit is 64",
    "group rename nowhere g": "such storage group",
    "group modify nowhere --notes x": "such storage group",
    f"group create g {JSON} {{": "not valid JSON",
    f"group create g {JSON} []": "not a JSON object",
    f"group create g {JSON} {'[' * 100_000}": "not valid JSON",
    "group create g --io-var novalue": "use VAR=VALUE",
    "group modify broken --io-var a=1": "invalid I/O config in the database",
    f"group create g --class {LONG}": "too long",
    "group sync n1 nowhere --force": "such storage node",
    "group autosync n1 nowhere": "such storage node",
    "node autoclean n1 nowhere": "such storage group",
    "node create n1 --create-group": "already exists",
    "node create <empty> --create-group": "it is empty",
    "node create n9 --group nowhere": "such storage group",
    f"node create n9 --group n1 --host {LONG}": "too long",
    f"node create n9 --group n1 {JSON} 1": "not a JSON object",
    "node modify n1 --group nowhere": "such storage group",
    "node modify n1 --io-var x": "use VAR=VALUE",
    "node modify n1 --address=-oProxyCommand=x": 'invalid address "-oProxyCommand=x"',
    "node modify n1 --username ro\tot": "invalid user name",
    "node create n9 --group n1 --address a;b": "invalid address",
    "node create n9 --group n1 --username=-l": "invalid user name",
    "node rename n1 a\tb": "control character",
    "node rename n1 n2": "already exists",
    "node activate nowhere": "such storage node",
    "node deactivate nowhere": "such storage node",
    "node init nowhere": "such storage node",
    "node scan n1 /elsewhere": "outside node root",
    f"node scan n1 {LONG * 5}": "too long",
    "node sync n1 nowhere --force": "such storage group",
    "node sync n1 n2 --target nowhere --force": "such storage group",
    "node clean n1 --acq nowhere --force": "such acquisition",
    "node clean archive --now --force": "archive node",
    "node verify nowhere --all --force": "such storage node",
    "node repair nowhere --force": "such storage node",
    "node sync n1 n2 --force -F {tmp}/ghosts": 'line 4 of {tmp}/ghosts: "ghost/f"',
    "node sync n1 n2 --force -F {tmp}/binary": "No such file in line 1",
    "node sync n1 n2 --force -F {tmp}/many": "No such file in line 100000",
    "node clean n1 --force -F {tmp}/absolute": "No such file in line 1",
    "db copy sqlite:///{tmp}/none.db sqlite:///{tmp}/to.db": "there is no file",
    "db copy nonsense sqlite:///{tmp}/to.db": "Database connect failed",
}

USAGE = {  # exit 2
    "nodes list": "Did you mean 'node'",
    "NODE list": "Did you mean 'node'",
    "node statz": "Did you mean 'stats'",
    "node": None,
    "node list extra": "unexpected extra argument",
    "node show": "Missing argument 'NODE'",
    "node list --colour": "No such option",
    "node stats --active=yes": "does not take a value",
    "node stats --host": "requires an argument",
    "-c": "requires an argument",
    "group sync n1": "NODE or --all must be provided",
    "node sync n1 n2 --all": "--all may only be used with --cancel",
    "node sync n1 n2 --check --force": "cannot use both --check and --force",
    "node clean n1 --cancel --now": "cannot use both --cancel and --now",
    "node clean n1 --cancel --size 1": "cannot use both --cancel and --size",
    "node clean n1 --days 0": "--days",
    "node clean n1 --days -3": "--days",
    "node clean n1 --days many": "not a valid integer",
    "node clean n1 --size nan": "not a finite number",
    "node clean n1 --size inf": "not a finite number",
    "node clean n1 --size -1": "--size",
    "node repair": "NODE or --all must be provided",
    "node repair n1 --all": "NODE or --all must be provided",
    "node repair n1 --check --force": "cannot use both --check and --force",
    "node modify n1 --max-total 0": "--max-total",
    "node modify n1 --min-avail 1G": "not a valid float",
    "node modify n1 --auto-verify -1": "--auto-verify",
    "node modify n1 --max-total 1 --no-max-total": "cannot use both",
    "node modify n1 --archive --field": "cannot use both --archive and --field",
    "node create n9": "missing --group or --create-group",
    "node create n9 --group n1 --create-group": "cannot use both --group and --create-group",
    "file create f 2025/02/21": "missing --md5 or --from-file",
    "file create f 2025/02/21 --size 1": "--md5 and --size must be used together",
    "file create f 2025/02/21 --from-file --size 0": "--md5 and --size must be used together",
    "file create f 2025/02/21 --from-file --md5 0 --size 0": "cannot use both",
    "file modify 2025/02/21/meta.txt": "missing --md5 or --size",
    "file modify 2025/02/21/meta.txt --size 1k": "not a valid integer",
    "file state 2025/02/21/meta.txt n1 --set Gone": "'Gone' is not one of",
    "file state 2025/02/21/meta.txt n1 --ready --unready": "cannot use both",
    "file list --corrupt": "--corrupt may only be used with --node or --group",
    "file list --from n1": "--from and --to must be used together",
    "file sync 2025/02/21/meta.txt": "missing --from or --cancel",
    "file clean 2025/02/21/meta.txt --now": "missing --node or --cancel",
    "file import /f n1": "PATH must be relative",
    "acq files 2025/02/21 --node n1 --group n1": "cannot use both --node and --group",
    "node sync n1 n2 -F {tmp}/none": "does not exist",
    "node sync n1 n2 -F {tmp}": "is a directory",
    "file verify 2025/02/21/meta.txt n1 --json": "--json may only be used with --wait",
    "node scan n1 --timeout 3": "--timeout may only be used with --wait",
    "node verify n1 --all --check --force": "cannot use both --check and --force",
    "group sync n1 n2 --cancel --target n1": "cannot use both --cancel and --target",
    "acq list --node n1 --group n1": "cannot use both --node and --group",
    "-q -v node list": "cannot use both --quiet and --verbose",
    "--conf /nowhere node list": "does not exist",
}


def words(line: str, tmp_path: Path) -> list[str]:
    """Split a line of the tables at single blanks; ``<empty>`` and ``<blanks>`` are arguments."""
    special = {"<empty>": "", "<blanks>": "  "}
    return [special.get(word, word) for word in line.replace("{tmp}", str(tmp_path)).split(" ")]


@pytest.fixture
def lists(tmp_path: Path) -> None:
    """File lists; only a line that names no file is wrong with them."""
    good = "2025/02/21/meta.txt\n"
    (tmp_path / "ghosts").write_text(f"{good}\n  \t\nghost/f\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x1b[2J\n")
    (tmp_path / "many").write_text(good * 99_999 + "ghost/f\n")
    (tmp_path / "absolute").write_text("/elsewhere/2025/02/21/meta.txt\n")


@pytest.fixture
def places(make: Any) -> None:
    for name in ("n1", "n2", "demo_storage1"):
        make.node(name, root=f"/{name}")
    make.node("archive", storage_type="A")
    make.group("broken", io_config="{")
    make.copy("2025/02/21/meta.txt", make.node("source"))


@pytest.mark.parametrize(
    ("line", "code", "phrase"),
    [
        (line, code, said)
        for code, table in ((1, FAILURES), (2, USAGE))
        for line, said in table.items()
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_a_wrong_line_is_answered_in_one_line(
    line: str,
    code: int,
    phrase: str | None,
    places: None,
    lists: None,
    run: Any,
    dump: Any,
    tmp_path: Path,
) -> None:
    """The last line says what is wrong; before it stands at most how the command is used."""
    before = dump()
    result = run(*words(line, tmp_path))
    assert result.code == code, result.stderr
    assert result.stdout == ""
    said = result.stderr.splitlines()
    if phrase is None:
        assert said[0].startswith("Usage: alpenhorn")
    else:
        assert said[-1].startswith("Error: ")
        assert phrase.replace("{tmp}", str(tmp_path)) in said[-1]
        assert len(said) == 1 if code == 1 else said[0].startswith("Usage: alpenhorn")
        assert "\x1b" not in result.stderr
    assert "Traceback" not in result.stderr
    assert dump() == before


def test_a_list_with_blank_lines_and_many_entries_is_read(
    places: None, run: Any, tmp_path: Path
) -> None:
    """100,000 lines that name one file mean that file, once."""
    path = tmp_path / "list"
    path.write_text("\n\n  2025/02/21/meta.txt\t\n\n" * 25_000)
    result = run("node", "sync", "source", "n1", "--check", "-F", path)
    assert (result.code, result.stdout.splitlines()[0][:17]) == (0, "Would sync 1 file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_list_that_may_not_be_read(places: None, run: Any, dump: Any, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("2025/02/21/meta.txt\n")
    path.chmod(0)
    before = dump()
    result = run("node", "sync", "source", "n1", "--force", "-F", path)
    assert result.code == 2
    assert "is not readable" in result.stderr.splitlines()[-1]
    assert dump() == before


def test_no_terminal_at_the_prompt(places: None, run: Any, dump: Any) -> None:
    """End of input is no consent."""
    before = dump()
    result = run("node", "sync", "source", "n1", input="")
    assert result.code == 1
    assert result.stderr.splitlines()[-1] == "Aborted!"
    assert dump() == before


@pytest.mark.parametrize("answer", ["maybe\nn\n", "yess\n\n", "\n", "0\nno\n"])
def test_an_answer_that_is_not_yes(places: None, run: Any, dump: Any, answer: str) -> None:
    before = dump()
    result = run("node", "sync", "source", "n1", input=answer)
    assert result.code == 0
    assert result.stdout.endswith("Cancelled.\n")
    assert dump() == before


def program(conf: Path, *args: str) -> list[str]:
    return [sys.executable, "-m", "alpenhorn", "--test-isolation", "--conf", str(conf), *args]


def sleeps(pid: int) -> bool:
    """Tell whether a process waits for something, here for an answer."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_interrupt_at_the_prompt(places: None, conf: Path, dump: Any) -> None:
    before = dump()
    with subprocess.Popen(
        program(conf, "node", "sync", "source", "n1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        shown = b""
        while not shown.endswith(b"[y/N]: "):
            byte = process.stdout.read(1)
            assert byte, process.stderr.read()
            shown += byte
        while not sleeps(process.pid):
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().split() == [b"Aborted!"]
        assert process.wait(timeout=60) == 1
    assert dump() == before


@pytest.mark.parametrize("command", [("file", "list"), ("acq", "files", "2025"), ("acq", "list")])
def test_a_pipe_that_is_closed_ends_a_list_quietly(
    make: Any, index: Any, conf: Path, command: tuple[str, ...]
) -> None:
    """As in ``alpenhorn file list | head -1``."""
    make.files("2025", [f"{number:04d}_{'x' * 60}" for number in range(1500)])
    db.ArchiveAcq.insert_many(
        [{"name": f"{number:04d}_{'x' * 50}"} for number in range(1500)]
    ).execute()
    with subprocess.Popen(
        program(conf, *command), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
