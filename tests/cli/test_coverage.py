"""Each command and each decision on doubtful behaviour has its tests (spec: cli.md §1, §10).

What a test covers is read from its source: the command lines that it runs, the exit codes it wants.
"""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

from alpenhorn.cli.main import main

HERE = Path(__file__).resolve().parent

COMMANDS = """
db check, db copy, db init
acq create, acq files, acq list, acq show
file clean, file create, file find, file history, file import, file list, file modify, file show
file state, file sync, file verify
group autosync, group create, group list, group modify, group rename, group show, group sync
node activate, node autoclean, node clean, node create, node deactivate, node init, node list
node modify, node rename, node repair, node scan, node show, node stats, node sync, node verify
"""
NAMES = [name.strip() for name in re.split("[,\n]", COMMANDS) if name.strip()]

NEVER_FAIL = {"db check", "db init", "group list"}
"""Commands without names and values; that their index is wrong is tested for all at once."""

DECISIONS = range(1, 25)

ABOUT_OPTIONS_TOGETHER = re.compile(
    "cannot use both|must be used together|may only be used with|missing --|must be provided"
    "|Can't use|must be relative"
)


@dataclass
class Coverage:
    """The tests of one command, by what they try."""

    success: list[str] = field(default_factory=list)
    error: list[str] = field(default_factory=list)
    exclusion: list[str] = field(default_factory=list)


def every_test() -> Iterator[tuple[str, str]]:
    """Yield place and source, with its decorators, of each test of the command line."""
    for path in sorted([*HERE.glob("test_*.py"), *HERE.parent.glob("unit/services/test_*.py")]):
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                yield f"{path.name}::{node.name}", "\n".join(lines[first - 1 : node.end_lineno])


def table() -> dict[str, Coverage]:
    """Find the tests of each command: in the sources, and in the table of bad input."""
    found = {name: Coverage() for name in NAMES}
    mentions = {name: re.compile(name.replace(" ", "[ \"',]+") + r"\b") for name in NAMES}
    for place, source in every_test():
        for name in NAMES:
            if mentions[name].search(source):
                found[name].success.append(place)
    bad = runpy.run_path(str(HERE / "test_bad_input.py"))
    for line in bad["FAILURES"]:
        if name := _command_of(line):
            found[name].error.append(line)
    for line, phrase in bad["USAGE"].items():
        if phrase and ABOUT_OPTIONS_TOGETHER.search(phrase) and (name := _command_of(line)):
            found[name].exclusion.append(line)
    return found


def _command_of(line: str) -> str | None:
    name = " ".join(line.split(" ")[:2])
    return name if name in NAMES else None


def _rules(name: str) -> tuple[object, ...]:
    """Return the rules on options given together that a command has."""
    noun, verb = name.split()
    context = click.Context(main)
    group = main.get_command(context, noun)
    assert isinstance(group, click.Group)
    command = group.get_command(context, verb)
    return tuple(getattr(command, "rules", ()))


TABLE = table()


def test_there_are_40_commands() -> None:
    assert len(NAMES) == 40
    context = click.Context(main)
    nouns = {name: main.get_command(context, name) for name in main.list_commands(context)}
    assert sorted(NAMES) == [
        f"{name} {verb}"
        for name, noun in nouns.items()
        if isinstance(noun, click.Group)
        for verb in noun.list_commands(context)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_tests(name: str) -> None:
    """That it works; what it says if it cannot; that options that exclude each other do."""
    covered = TABLE[name]
    assert covered.success
    assert covered.error or name in NEVER_FAIL
    assert covered.exclusion or not _rules(name)


@pytest.mark.parametrize("number", DECISIONS)
def test_each_decision_has_a_test(number: int) -> None:
    """A test names the decision in its docstring or in a comment."""
    mention = re.compile(rf'("""|#).*\bD{number}\b')
    assert [place for place, source in every_test() if mention.search(source)]


if __name__ == "__main__":
    for command, coverage in TABLE.items():
        print(f"{command:18}", *map(len, vars(coverage).values()))
