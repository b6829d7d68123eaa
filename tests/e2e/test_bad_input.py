"""Everything that can be wrong around a start: one line says what it is and what to do.

Exit status 1, no traceback, nothing changed; and a bad node never takes the others down.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.hosts import Finished, Line, Site, daemon_command, parse

NewSite = Callable[..., Site]

PROGRAMS = ["cli", "daemon"]


@dataclass
class Bench:
    """One configuration file, and the two programs that read it."""

    site: Site

    @property
    def conf(self) -> Path:
        return self.site.path / "bad.conf"

    def run(self, program: str, text: str | None) -> Finished:
        """Run a program with a configuration file of this text; None: with no file at all."""
        if text is not None:
            self.conf.write_text(text)
        if program == "daemon":
            return self.site.run(daemon_command(self.conf)[: 3 if text is None else None])
        options = [] if text is None else ["--conf", str(self.conf)]
        return self.site.run([sys.executable, "-m", "alpenhorn", *options, "node", "list"])

    def snapshot(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.site.path)): path.read_bytes()
            for path in self.site.path.rglob("*")
            if path.is_file() and path != self.conf and "index.db-" not in path.name
        }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Site(tmp_path))


def database(path: object) -> str:
    return f"database:\n  url: sqlite:///{path}\n"


def problem(result: Finished) -> str:
    """The one line that a person reads; the daemon has logged its first steps before."""
    assert result.code == 1, result
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = [line.text for line in parse(result.stderr) if not line.level]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    return lines[0]


@pytest.mark.parametrize("program", PROGRAMS)
class TestStart:
    def test_no_configuration(self, bench: Bench, program: str) -> None:
        text = "Error: No configuration files available.  See --help-config for more details."
        before = bench.snapshot()
        assert problem(bench.run(program, None)) == text
        assert bench.snapshot() == before

    def test_broken_yaml(self, bench: Bench, program: str) -> None:
        """The line names the file and the line in it."""
        said = problem(bench.run(program, "database:\n  url: [sqlite\n"))
        assert f"cannot read config file {bench.conf}, line 3: " in said

    def test_configuration_that_is_no_mapping(self, bench: Bench, program: str) -> None:
        said = problem(bench.run(program, "- database\n"))
        assert f"cannot use config file {bench.conf}: mapping expected at top level" in said

    def test_unknown_extension(self, bench: Bench, program: str) -> None:
        said = problem(bench.run(program, "extensions: [no_such_module]\n"))
        assert "unable to import extension module no_such_module" in said
        assert "put its directory on PYTHONPATH" in said

    def test_no_database_configured(self, bench: Bench, program: str) -> None:
        result = bench.run(program, "base:\n  hostname: here\n")
        assert result.code == 1
        assert "Error: Unable to connect to the database: No database configured." in result.stderr
        assert "See --help-config" in result.stderr
        assert "Traceback" not in result.stderr

    def test_unreachable_database(self, bench: Bench, program: str) -> None:
        before = bench.snapshot()
        said = problem(bench.run(program, database(bench.site.path / "missing" / "index.db")))
        assert "Database read error: unable to open database file" in said
        assert "Check database.url" in said
        assert bench.snapshot() == before

    def test_a_file_that_is_no_database(self, bench: Bench, program: str) -> None:
        bench.site.index.write_text("This is a letter, not a database. " * 100)
        before = bench.snapshot()
        said = problem(bench.run(program, database(bench.site.index)))
        assert "file is not a database" in said
        assert "Check database.url" in said
        assert bench.snapshot() == before

    def test_uninitialised_index(self, bench: Bench, program: str) -> None:
        sqlite3.connect(bench.site.index).close()
        said = problem(bench.run(program, database(bench.site.index)))
        assert said.endswith(
            "wanted version 2; no schema found.  Run `alpenhorn db init` to make one."
        )
        assert bench.site.rows("SELECT name FROM sqlite_master") == []

    @pytest.mark.parametrize("version", [1, 3])
    def test_wrong_schema_version(self, bench: Bench, program: str, version: int) -> None:
        bench.site.do("db", "init")
        bench.site.change(
            "UPDATE dataindexversion SET version = ? WHERE component = 'alpenhorn'", version
        )
        said = problem(bench.run(program, database(bench.site.index)))
        assert f"wanted version 2; found version {version}." in said
        assert "Use the alpenhorn that made this index, or another database.url." in said
        versions = dict(bench.site.rows("SELECT component, version FROM dataindexversion"))
        assert versions["alpenhorn"] == version


def test_a_bad_value_stops_the_daemon_before_it_starts_workers(bench: Bench) -> None:
    """All keys are tested at the start, not when they are first needed (config.md K-5)."""
    bench.site.do("db", "init")
    text = database(bench.site.index) + "daemon:\n  auto_verify_min_days: soon\n"
    result = bench.run("daemon", text)
    assert "daemon.auto_verify_min_days: int expected" in problem(result)
    assert "Worker" not in result.stderr


@pytest.fixture
def good_and_bad(new_site: NewSite) -> Site:
    """A host with a good node, and a node called bad whose root the test spoils."""
    site = new_site("alpenhost1")
    for name in ("bad", "good"):
        root = site.path / name
        words = ("--create-group", f"--root={root}", "--host=alpenhost1", "--activate")
        site.do("node", "create", name, *words)
    (site.path / "good").mkdir()
    (site.path / "good" / "ALPENHORN_NODE").write_text("good\n")
    return site


def carries_on(site: Site, *said: str) -> None:
    """The daemon says these things about the bad node, and works on the good one."""
    site.start("alpenhost1")
    site.wait_log("alpenhost1", "Finished task: Tidy up good")
    (site.path / "good" / "2025/02/21").mkdir(parents=True)
    (site.path / "good" / "2025/02/21/meta.txt").write_text("data\n")
    site.do("node", "scan", "good", "--register-new")
    site.wait(lambda: site.states("good") == {"2025/02/21/meta.txt": "YY"})
    log = site.log("alpenhost1")
    for text in said:
        assert Line("WARNING", "MainThread", text) in log, log
    assert not any("Traceback" in line.text for line in log)
    assert not log.has('Updating node "bad".')
    assert site.rows("SELECT * FROM archivefilecopy WHERE node_id = 1") == []


def test_a_root_that_does_not_exist(good_and_bad: Site) -> None:
    root = good_and_bad.path / "bad"
    carries_on(
        good_and_bad,
        f'Node file "{root}/ALPENHORN_NODE" could not be read.',
        'Ignoring node "bad": not initialised.',
    )
    assert not root.exists()


def test_a_root_that_does_not_exist_is_not_made_by_an_init_request(good_and_bad: Site) -> None:
    root = good_and_bad.path / "bad"
    good_and_bad.do("node", "init", "bad")
    carries_on(good_and_bad, f'Node file "{root}/ALPENHORN_NODE" could not be read.')
    text = f'Cannot initialise node "bad": No such file or directory ("{root}/ALPENHORN_NODE").'
    good_and_bad.wait_log("alpenhost1", text)
    assert not root.exists()
    pending = "SELECT count(*) FROM archivefileimportrequest WHERE node_id = 1 AND completed = 0"
    assert good_and_bad.value(pending) == 1


def test_a_medium_that_is_another_node(good_and_bad: Site) -> None:
    root = good_and_bad.path / "bad"
    root.mkdir()
    (root / "ALPENHORN_NODE").write_text("other\n")
    carries_on(
        good_and_bad,
        f'Node file "{root}/ALPENHORN_NODE" names another node: "other", not "bad".',
        'Ignoring node "bad": not initialised.',
    )
    assert (root / "ALPENHORN_NODE").read_text() == "other\n"


def test_init_does_not_take_over_the_medium_of_another_node(good_and_bad: Site) -> None:
    root = good_and_bad.path / "bad"
    root.mkdir()
    (root / "ALPENHORN_NODE").write_text("other\n")
    good_and_bad.do("node", "init", "bad")
    carries_on(good_and_bad)
    good_and_bad.wait_log("alpenhost1", 'Initialisation of node "bad" failed.')
    assert (root / "ALPENHORN_NODE").read_text() == "other\n"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("io_class", "NoSuchClass", "NoSuchClass"),
        ("io_config", "{not json", "I/O config is not JSON"),
        ("io_config", "[1, 2]", "I/O config is not a JSON object"),
    ],
)
def test_a_bad_row_is_said_once(good_and_bad: Site, column: str, value: str, said: str) -> None:
    """Many passes, one ERROR line; the other node is not held up."""
    good_and_bad.change(f"UPDATE storagenode SET {column} = ? WHERE name = 'bad'", value)
    carries_on(good_and_bad)
    log = good_and_bad.log("alpenhost1")
    errors = [line.text for line in log if line.level == "ERROR"]
    assert len(errors) == 1, errors
    assert said in errors[0]
    assert "bad" in errors[0]
