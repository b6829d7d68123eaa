"""The page of commands, from the commands themselves: walk the tree of click."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from alpenhorn.cli.main import main as alpenhorn
from alpenhorn.daemon.entry import cli as alpenhornd

_HEAD = """\
# Commands

<!-- Made by tools/make_docs.py from the commands themselves. Do not edit. -->

`alpenhorn NOUN COMMAND` reads and changes the Data Index; `alpenhornd` is the daemon. Each accepts
`--help`. Global options stand before the noun; options of a command may stand before, between or
after its arguments, and `--` ends them.

Exit status: 0 success, also if there was nothing to do; 1 an error, in one line on standard error;
2 the command line is wrong. After 2, and after 1 with an error, nothing has been changed. With
`--wait`, 3 says that some of the work failed, 4 that it was not done in time.
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every program, noun and command with its full name, in the order of the page."""
    yield from _walk("alpenhorn", alpenhorn, None)
    yield "alpenhornd", alpenhornd


def _walk(
    name: str, command: click.Command, parent: click.Context | None
) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name, parent=parent)
        for member in command.list_commands(context):
            found = command.get_command(context, member)
            assert found is not None, f"{name} {member}"
            yield from _walk(f"{name} {member}", found, context)


def text() -> str:
    """Return the page."""
    everything = list(commands())
    contents = [f"- [`{name}`](#{name.replace(' ', '-')})" for name, _ in everything]
    return "\n".join([_HEAD, *contents, "", *(_section(name, cmd) for name, cmd in everything)])


def _section(name: str, command: click.Command) -> str:
    lines = [f"{'###' if _is_leaf(name, command) else '##'} {name}", ""]
    lines += ["```text", _usage(name, command), "```", ""]
    lines += [_prose(command.help or ""), ""]
    options = [param for param in command.params if isinstance(param, click.Option)]
    if shown := [option for option in options if not option.hidden]:
        lines += ["| option | meaning |", "| --- | --- |", *(_row(o) for o in shown), ""]
    if example := getattr(command, "example", ""):
        lines += ["```console", inspect.cleandoc(example), "```", ""]
    return "\n".join(lines)


def _is_leaf(name: str, command: click.Command) -> bool:
    return not isinstance(command, click.Group) and " " in name


def _usage(name: str, command: click.Command) -> str:
    # Click keeps the help option that it makes for the first context.
    context = click.Context(command, info_name=name, help_option_names=["-h", "--help"])
    return " ".join([name, *command.collect_usage_pieces(context)])


def _prose(text: str) -> str:
    r"""Turn a help text into Markdown; a block after \b, kept as it is, becomes code."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(text).strip())
    return "\n\n".join(_block(block) for block in blocks)


def _block(block: str) -> str:
    if block.startswith("\b"):
        return f"```text\n{block[1:].strip(chr(10))}\n```"
    return block.replace("<", "\\<")


def _row(option: click.Option) -> str:
    spellings = ", ".join(f"`{text}`" for text in [*option.opts, *option.secondary_opts])
    value = "" if option.is_flag or option.count else f" `{_metavar(option)}`"
    meaning = (option.help or "").replace("|", "\\|")
    notes = ["needed"] if option.required else []
    notes += ["may be repeated"] if option.multiple and "repeated" not in meaning else []
    suffix = f" ({', '.join(notes)})" if notes else ""
    return f"| {spellings}{value} | {meaning}{suffix} |"


def _metavar(option: click.Option) -> str:
    return option.make_metavar(click.Context(click.Command("x"))).replace("|", "\\|")
