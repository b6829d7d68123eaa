"""A noun or the program: a group of commands that are imported only when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from alpenhorn.cli.usage import UsageCommand


class LazyGroup(UsageCommand, click.Group):
    """A group whose members are named by ``"module:attribute"``.

    A mistyped member is answered with the nearest ones.
    """

    def __init__(self, *args: Any, members: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.members = members

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the members in alphabetical order."""
        return sorted(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a member; None if there is none of that name."""
        if cmd_name not in self.members:
            return None
        module, _, attribute = self.members[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the member that the command line names, or fail with suggestions."""
        name = args[0]
        if name in self.members or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise click.UsageError(f'No such command "{name}".{self._suggestion(name)}', ctx)

    def _suggestion(self, name: str) -> str:
        # Needed for mistakes only; the command's start-up time counts.
        from alpenhorn.common.similar import similar

        found = similar(name, self.members, most=2)
        return f" Did you mean {' or '.join(map(repr, found))}?" if found else ""


def noun(name: str, text: str, **commands: str) -> LazyGroup:
    """Make a noun.

    Args:
        name: the noun.
        text: its help text.
        commands: command name to ``"module:attribute"``, the module below `alpenhorn.cli`.
    """
    members = {command: f"alpenhorn.cli.{place}" for command, place in commands.items()}
    return LazyGroup(name, help=text, members=members)
