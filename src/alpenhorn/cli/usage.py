"""How a command tells how it is used: in usage errors, and by an example in its help text."""

from __future__ import annotations

from typing import Any

import click


class UsageCommand(click.Command):
    """A command or group that tells how it is used, whatever was wrong with its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments.

        A usage error always comes with the usage lines (spec: cli.md §2.5); click itself leaves
        some without the context that these need.
        """
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class ExampleCommand(UsageCommand):
    """A command whose help text ends with an example."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is to be typed."""
        if self.example:
            with formatter.section("Example"):
                for line in self.example.splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        super().format_epilog(ctx, formatter)
