"""Usage errors come with the usage lines of their command (spec: cli.md §2.5)."""

from __future__ import annotations

import click


class UsageCommand(click.Command):
    """A command or group that tells how it is used, whatever was wrong with its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; click itself leaves some errors without their context."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
