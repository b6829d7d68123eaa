"""The program itself: global options, help without configuration, and how it ends."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

import alpenhorn
from alpenhorn import db
from alpenhorn.cli import command
from alpenhorn.cli.main import run as run_program
from alpenhorn.cli.settings import verbosity

MY_NOUNS = {"db": ["init"], "group": ["show", "sync"], "node": ["clean", "create", "show"]}


def plain(*args: str) -> int:
    """Run without any configuration."""
    return run_program(["--test-isolation", *args])


def test_version_needs_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain("--version") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"alpenhorn {alpenhorn.__version__} (Python {platform.python_version()})"
    assert lines[1] == ""
    assert any("Permission is hereby granted" in line for line in lines)
    assert any("WITHOUT WARRANTY" in line for line in lines)


def test_help_config_needs_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain("--help-config") == 0
    text = capsys.readouterr().out
    for phrase in ("/etc/alpenhorn/alpenhorn.conf", "ALPENHORN_CONFIG_FILE", "url:", "extensions:"):
        assert phrase in text


@pytest.mark.parametrize("spelling", ["-h", "--help"])
@pytest.mark.parametrize(("noun", "commands"), MY_NOUNS.items())
def test_help_at_each_level_needs_no_configuration(
    capsys: pytest.CaptureFixture[str], noun: str, commands: list[str], spelling: str
) -> None:
    """D23."""
    assert plain(noun, spelling) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in commands)
    for name in commands:
        assert plain(noun, name, spelling) == 0
        assert f"Usage: alpenhorn {noun} {name}" in capsys.readouterr().out


def test_a_noun_alone_prints_its_help_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain("node") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: alpenhorn node [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("args", "phrase"),
    [
        (["-v"], "Missing command"),
        (["nod"], "Did you mean 'node'"),
        (["node", "shwo"], "Did you mean 'show'"),
        (["Node", "list"], 'No such command "Node"'),
        (["node", "list", "--activ"], "No such option"),
        (["-qv", "node", "list"], "cannot use both --quiet and --verbose"),
        (["-q", "--debug", "node", "list"], "cannot use both --quiet and --debug"),
        (["--conf", "/no/such/file", "node", "list"], "does not exist"),
        (["node", "show"], "Missing argument 'NODE'"),
    ],
)
def test_usage_errors_come_before_configuration(
    capsys: pytest.CaptureFixture[str], args: list[str], phrase: str
) -> None:
    assert plain(*args) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Usage: alpenhorn")
    assert "--help" in lines[1]
    assert lines[2] == ""
    assert lines[3].startswith("Error: ")
    assert phrase in lines[3]


@pytest.mark.parametrize(
    ("quiet", "verbose", "debug", "level"),
    [
        (0, 0, False, 3),
        (1, 0, False, 2),
        (2, 0, False, 1),
        (5, 0, False, 1),
        (0, 1, False, 4),
        (0, 2, False, 5),
        (0, 9, False, 5),
        (0, 0, True, 5),
        (0, 1, True, 5),
    ],
)
def test_verbosity(quiet: int, verbose: int, debug: bool, level: int) -> None:
    assert verbosity(quiet, verbose, debug) == level


def test_no_configuration_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain("node", "list") == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: No configuration files available")
    assert "--help-config" in error


def test_wrong_schema_version_ends_the_command(index: Any, run: Any) -> None:
    from alpenhorn.db import DataIndexVersion

    DataIndexVersion.update(version=1).where(DataIndexVersion.component == "alpenhorn").execute()
    result = run("group", "create", "g")
    assert result.code == 1
    assert "Data Index version mismatch" in result.stderr


def test_quiet_suppresses_output_but_not_effects(index: Any, run: Any) -> None:
    conf = str(run.conf)
    assert run("-q", "group", "create", "g").stdout == ""
    assert run("group", "list").stdout.count("\n") == 3
    assert run("-v", "group", "list").stderr.startswith("INFO >> Loading config file " + conf)


def test_quiet_does_not_suppress_errors_and_prompt(make: Any, run: Any) -> None:
    node = make.node("n")
    make.group("g")
    make.copy("a/f", node)
    assert run("-qq", "group", "create", "g").stderr.startswith("Error: ")
    assert run("-q", "node", "sync", "n", "g", input="n\n").stdout == "Continue? [y/N]: "


def test_an_unexpected_failure_is_one_line(
    index: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(**_: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(command.bootstrap, "start", explode)
    result = run("node", "list")
    assert result.code == 1
    assert result.stderr == "Error: internal error: RuntimeError: two lines\n"
    assert "Traceback" in run("--debug", "node", "list").stderr


def test_interrupt_is_aborted(index: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.bootstrap, "start", interrupt)
    result = run("node", "list")
    assert result.code == 1
    assert result.stderr.endswith("Aborted!\n")


def test_a_lost_table_is_one_line(index: Any, run: Any) -> None:
    index.execute_sql("DROP TABLE storagetransferaction")
    index.execute_sql("INSERT INTO storagegroup (name) VALUES ('g')")
    result = run("group", "show", "g", "--actions")
    assert result.code == 1
    assert result.stderr.startswith("Error: Data Index error: ")
    assert result.stderr.count("\n") == 1


def test_a_closed_pipe_is_quiet(make: Any, conf: Path) -> None:
    names = [f"group_number_{number:06d}_with_a_name_that_fills_the_pipe" for number in range(2000)]
    db.StorageGroup.insert_many([{"name": name} for name in names]).execute()
    program = [sys.executable, "-m", "alpenhorn", "--test-isolation", "-c", str(conf)]
    with subprocess.Popen(
        [*program, "group", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def seconds(*args: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *args], check=True, capture_output=True)
    return time.perf_counter() - began


def test_start_up_is_quick() -> None:
    """``alpenhorn --version`` takes at most twice as long as importing click.

    The best of some runs on either side, more of them if the machine is busy.
    """
    ours, clicks = [], []
    for _ in range(20):
        ours.append(seconds("-m", "alpenhorn", "--version"))
        clicks.append(seconds("-c", "import click"))
        if len(ours) >= 3 and min(ours) <= 2 * min(clicks):
            return
    pytest.fail(f"alpenhorn: {min(ours):.3f} s, click: {min(clicks):.3f} s")


def test_texts_load_nothing_heavy() -> None:
    """Texts about the program need neither the database nor the configuration."""
    code = (
        "import sys; from alpenhorn.cli.main import run\n"
        "for args in (['--version'], ['--help-config'], ['completion', 'zsh']): run(args)\n"
        "print(sorted({'peewee', 'yaml', 'tabulate', 'rich', 'watchdog'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_options_may_stand_anywhere_and_names_may_begin_with_a_dash(make: Any, run: Any) -> None:
    make.node("-n")
    assert run("node", "show", "--stats", "--", "-n").code == 0
    assert run("node", "list", "--host", "x", "--host=here").stdout.splitlines()[2].startswith("-n")


def test_rules_name_options_with_their_dashes() -> None:
    @command.command("c", command.together("a", "b"), command.requires("a", "c"))
    @click.option("-a", "--aa", "a")
    @click.option("--b", "b")
    @click.option("--c", "c", is_flag=True)
    def body(**_: object) -> None: ...

    def error(*args: str) -> str:
        with pytest.raises(click.UsageError) as raised:
            body.main(list(args), standalone_mode=False)
        return raised.value.message

    assert error("-a", "1") == "--aa and --b must be used together"
    assert error("--aa=0", "--b=1") == "--aa may only be used with --c"


def test_output_goes_to_the_present_stdout(index: Any, run: Any) -> None:
    """The fixture replaces the streams: nothing may keep the old ones."""
    kept = sys.stdout
    assert run("group", "list").stdout == "No storage groups\n"
    assert sys.stdout is kept
    assert not isinstance(kept, io.BytesIO)


def test_help_lists_the_columns_with_their_json_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain("node", "stats", "--help") == 0
    assert "  Total Size     total_size_b\n" in capsys.readouterr().out


def test_conf_may_be_below_the_home_directory(
    index: Any, conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(conf.parent))
    monkeypatch.setenv("CONF_NAME", conf.name)
    assert plain("--conf=~/$CONF_NAME", "group", "list") == 0
    assert capsys.readouterr().out == "No storage groups\n"
