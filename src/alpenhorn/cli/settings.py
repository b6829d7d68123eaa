"""What the global options say (spec: cli.md §2.2, §2.3)."""

from __future__ import annotations

from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Settings:
    """The global options of one call; the object of the click context."""

    conf: str | None = None
    verbosity: int = 3
    debug: bool = False
    isolated: bool = False
    """Leave the standard configuration files unread."""


def verbosity(quiet: int, verbose: int, debug: bool) -> int:
    """Work out the verbosity, 1 to 5.

    Raises:
        click.UsageError: options that exclude each other.
    """
    if quiet and verbose:
        raise click.UsageError("cannot use both --quiet and --verbose")
    if quiet and debug:
        raise click.UsageError("cannot use both --quiet and --debug")
    return 5 if debug else min(5, max(1, 3 + verbose - quiet))
