"""``acq create`` (spec: cli.md §6.1)."""

from __future__ import annotations

import click

from alpenhorn.cli.command import command
from alpenhorn.common.logger import echo
from alpenhorn.services import acquisitions


@command("create", example="alpenhorn acq create 2025/02/22")
@click.argument("name")
def create(name: str) -> None:
    """Create an acquisition NAME without files."""
    acquisitions.create(name)
    echo(f'Created acquisition "{name}".')
