"""What ``--help`` shows: readable on a terminal of 80 columns, with an example that works."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest

from alpenhorn.cli.main import main


def walk(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, click.Context]]:
    """Yield the program, its nouns and their commands, each in a context of 80 columns."""
    context = click.Context(
        command, parent, name, terminal_width=80, help_option_names=["-h", "--help"]
    )
    yield context.command_path, context
    if isinstance(command, click.Group):
        for member in command.list_commands(context):
            found = command.get_command(context, member)
            assert found
            yield from walk(found, member, context)


EVERYTHING = dict(walk(main, "alpenhorn"))
EXAMPLES = {
    path: context.command.example
    for path, context in EVERYTHING.items()
    if hasattr(context.command, "example")
}
NEEDS_A_SERVER = {"alpenhorn db copy"}  # see test_db_copy
ON_THE_INDEX = [path for path in EXAMPLES if path.count(" ") == 2 and path not in NEEDS_A_SERVER]


def lines(example: str) -> list[str]:
    """Split an example into command lines; a backslash joins it to the next."""
    return example.replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("path", EVERYTHING)
def test_help_is_readable_at_80_columns(path: str) -> None:
    text = EVERYTHING[path].get_help()
    assert max(map(len, text.splitlines())) <= 80
    assert "\t" not in text


def test_each_command_has_an_example() -> None:
    commands = {path for path in EVERYTHING if path.count(" ") == 2}
    assert len(commands) == 40
    assert commands == {path for path, example in EXAMPLES.items() if example} - {
        "alpenhorn completion",
        "alpenhorn doctor",
    }


@pytest.mark.parametrize("path", EXAMPLES)
def test_help_shows_the_example_as_it_is_typed(path: str) -> None:
    end = EVERYTHING[path].get_help().split("\nExample:\n")[1]
    assert [line.removeprefix("  ") for line in end.splitlines()] == EXAMPLES[path].splitlines()
    assert all(line.startswith(path) for line in lines(EXAMPLES[path]))


@pytest.fixture
def prepared(make: Any) -> None:
    """The places and files that the examples name."""
    first = make.node("demo_storage1", host="alpenhost1", root="/data")
    make.node("demo_storage2", host="alpenhost2", root="/data", storage_type="A")
    make.node("demo_storage3", host="alpenhost3", root="/data", storage_type="A")
    make.node("transport1", host="alpenhost3", storage_type="T")
    make.copy("2025/02/21/meta.txt", first)
    make.copy("2025/02/21/23/1324.dat", first)


@pytest.mark.parametrize("path", ON_THE_INDEX)
def test_the_example_works(path: str, prepared: None, run: Any) -> None:
    """Whoever copies it to a terminal, with such an index, sees it done."""
    for line in lines(EXAMPLES[path]):
        result = run(*shlex.split(line)[1:], input="y\n")
        assert result.code == 0, result.stderr
        assert result.stdout.strip()
        assert result.stderr == ""


def test_an_example_that_fails_is_noticed(prepared: None, run: Any) -> None:
    assert run("file", "show", "2025/02/21/no-such.dat").code == 1
