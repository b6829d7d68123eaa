"""The shape that all commands share: rules on options, then start-up, then the body.

Help and usage errors need no configuration and no database (spec: cli.md §10 D23).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from alpenhorn import bootstrap
from alpenhorn.cli.names import complete_names
from alpenhorn.cli.settings import Settings
from alpenhorn.cli.usage import ExampleCommand
from alpenhorn.common import config
from alpenhorn.db.queries.failures import reported

if TYPE_CHECKING:
    from alpenhorn.cli.render import Column

Rule = Callable[[click.Context], None]
"""A condition on the options given together; raises `click.UsageError`."""


class IndexCommand(ExampleCommand):
    """A command whose body works with the Data Index."""

    def __init__(
        self,
        *args: Any,
        rules: tuple[Rule, ...] = (),
        columns: Sequence[Column] = (),
        check_schema: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.rules = rules
        self.columns = columns
        self.check_schema = check_schema
        for param in self.params:
            complete_names(param)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the columns that the command prints, with their keys in JSON."""
        if self.columns:
            with formatter.section("Columns, with their keys in JSON"):
                formatter.write_dl([(column.heading, column.key) for column in self.columns])
        super().format_epilog(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Check the rules, start up, run the body; database errors become one line."""
        for rule in self.rules:
            rule(ctx)
        _start(ctx.find_object(Settings) or Settings(), self.check_schema)
        with reported():
            return super().invoke(ctx)


def command(
    name: str,
    *rules: Rule,
    columns: Sequence[Column] = (),
    check_schema: bool = True,
    example: str = "",
) -> Callable[[Callable[..., Any]], IndexCommand]:
    """Make a function a command.

    Args:
        name: its name below the noun.
        rules: what `exclusive` and its relatives return; checked in that order.
        columns: what the command prints, for its help text.
        check_schema: whether the Data Index must have our schema version.
        example: command lines for its help text, each at most 76 characters wide.
    """
    return click.command(
        name,
        cls=IndexCommand,
        rules=rules,
        columns=columns,
        check_schema=check_schema,
        example=example,
    )


def given(ctx: click.Context, param: str) -> bool:
    """Tell whether a parameter was given on the command line, whatever its value."""
    return ctx.get_parameter_source(param) is ParameterSource.COMMANDLINE


def exclusive(*params: str) -> Rule:
    """At most one of these options."""

    def rule(ctx: click.Context) -> None:
        used = [_spelling(ctx, param) for param in params if given(ctx, param)]
        if len(used) > 1:
            raise click.UsageError(f"cannot use both {used[0]} and {used[1]}", ctx)

    return rule


def one_of(a: str, b: str) -> Rule:
    """Exactly one of two options."""

    def rule(ctx: click.Context) -> None:
        exclusive(a, b)(ctx)
        if not (given(ctx, a) or given(ctx, b)):
            raise click.UsageError(f"missing {_spelling(ctx, a)} or {_spelling(ctx, b)}", ctx)

    return rule


def together(a: str, b: str) -> Rule:
    """Both options or neither."""

    def rule(ctx: click.Context) -> None:
        if given(ctx, a) != given(ctx, b):
            both = f"{_spelling(ctx, a)} and {_spelling(ctx, b)}"
            raise click.UsageError(f"{both} must be used together", ctx)

    return rule


def requires(a: str, b: str) -> Rule:
    """The first option only with the second."""

    def rule(ctx: click.Context) -> None:
        if given(ctx, a) and not given(ctx, b):
            text = f"{_spelling(ctx, a)} may only be used with {_spelling(ctx, b)}"
            raise click.UsageError(text, ctx)

    return rule


def _spelling(ctx: click.Context, name: str) -> str:
    """Return the long spelling of an option."""
    (param,) = (p for p in ctx.command.params if p.name == name)
    return max(param.opts, key=len)


def _start(settings: Settings, check_schema: bool) -> None:
    if settings.isolated:
        config.test_isolation()
    bootstrap.start(
        cli=True,
        conf=settings.conf,
        verbosity=settings.verbosity,
        check_schema=check_schema,
    )
