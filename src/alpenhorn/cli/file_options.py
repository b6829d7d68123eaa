"""Options and rules that commands on files share."""

from __future__ import annotations

import click

from alpenhorn.cli import options
from alpenhorn.cli.command import Rule, given
from alpenhorn.cli.options import Decorator

STATES = ("corrupt", "healthy", "missing", "suspect")

state_flags: Decorator = options.all_of(
    *(options.flag(f"--{state}", help=f"Copies that are {state}.") for state in STATES)
)


def at_least_one(**spellings: str) -> Rule:
    """One or more of some options.

    Args:
        spellings: parameter name to what the user types.
    """

    def rule(ctx: click.Context) -> None:
        if not any(given(ctx, param) for param in spellings):
            raise click.UsageError(f"missing {' or '.join(spellings.values())}", ctx)

    return rule


def chosen_states(flags: dict[str, bool]) -> tuple[str, ...]:
    """Return the states whose flags were given."""
    return tuple(state for state in STATES if flags[state])
