"""``db init`` (spec: cli.md §5.1)."""

from __future__ import annotations

import click

from alpenhorn.cli.command import command
from alpenhorn.db import current_version
from alpenhorn.db.schema import InitOutcome, initialise


@command("init", check_schema=False, example="alpenhorn db init")
def init() -> None:
    """Create the Data Index.

    Makes the tables in the configured database. It is safe to run this again: an existing Data
    Index keeps all its rows, and gets what it lacks for this version of alpenhorn.
    """
    outcome = initialise()
    if outcome is InitOutcome.CREATED:
        click.echo(f"Data Index version {current_version} initialised.")
        return
    click.echo("Data Index already initialised.")
    if outcome is InitOutcome.EXTENDED:
        click.echo("Added tables and indexes that it lacked.")
