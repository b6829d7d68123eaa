"""Options that several commands have, with one wording (spec: cli.md §4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


class Decorator(Protocol):
    """Adds an option to a function that becomes a command."""

    def __call__(self, function: _F, /) -> _F:
        """Add it."""


class FiniteRange(click.FloatRange):
    """A number within bounds that is neither infinite nor `nan`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


ABOVE_ZERO = FiniteRange(min=0, min_open=True)
ZERO_OR_MORE = FiniteRange(min=0)


def all_of(*decorators: Decorator) -> Decorator:
    """Apply several decorators; the help text lists them in this order."""

    def decorate(function: _F) -> _F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def flag(*spellings: str, help: str) -> Decorator:
    """An option without a value."""
    return click.option(*spellings, is_flag=True, help=help)


def field(*spellings: str, metavar: str, help: str) -> Decorator:
    """An option for a text field."""
    return click.option(*spellings, metavar=metavar, help=help)


json_option: Decorator = flag("--json", "as_json", help="Print JSON instead of text.")

acq_option: Decorator = click.option(
    "--acq",
    "acqs",
    metavar="ACQ",
    multiple=True,
    help="Only files of this acquisition; may be repeated.",
)

file_list_option: Decorator = click.option(
    "-F",
    "--file-list",
    metavar="PATH",
    type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True),
    help="Only files listed in this file, one path a line; - reads standard input.",
)

class_option: Decorator = field(
    "-i", "--class", "io_class", metavar="CLASS", help="The I/O class; Default if unset."
)
notes_option: Decorator = field("--notes", metavar="COMMENT", help="Free text.")

io_config_options: Decorator = all_of(
    field("--io-config", "io_config_text", metavar="CONFIG", help="The I/O config: a JSON object."),
    click.option(
        "--io-var",
        "io_vars",
        metavar="VAR=VALUE",
        multiple=True,
        help="Set VAR in the I/O config; delete it if VALUE is empty. May be repeated.",
    ),
)


def target_option(help: str) -> Decorator:
    """``--target``, repeatable."""
    return click.option("--target", "targets", metavar="GROUP", multiple=True, help=help)


def confirm_options(short: bool = True) -> Decorator:
    """``--check`` and ``--force``; pass their values to `confirm.two_passes`.

    Args:
        short: whether ``--check`` has the short form ``-c``.
    """
    spellings = ("-c", "--check") if short else ("--check",)
    return all_of(
        flag(*spellings, help="Only show what would be done."),
        flag("--force", help="Do it at once, without asking."),
    )


node_selection: Decorator = all_of(
    click.option(
        "--active/--inactive", "active", default=None, help="Only active, or only inactive nodes."
    ),
    field("--group", metavar="GROUP", help="Only nodes of this group."),
    field("--host", metavar="HOST", help="Only nodes on this host."),
)
