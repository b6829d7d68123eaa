"""``node modify``, ``rename``, ``activate`` and ``deactivate`` (spec: cli.md §9)."""

from __future__ import annotations

from typing import Any

import click

from alpenhorn.cli import options
from alpenhorn.cli.command import command, exclusive
from alpenhorn.cli.node_create import (
    TEXTS,
    kind_options,
    limits,
    only_one_role,
    place_options,
    role,
)
from alpenhorn.common.logger import echo
from alpenhorn.services import nodes


@command(
    "modify",
    exclusive("max_total", "no_max_total"),
    only_one_role,
    example="alpenhorn node modify demo_storage1 --auto-import --min-avail 10",
)
@click.argument("node")
@options.field("--group", metavar="GROUP", help="Move the node into this existing group.")
@place_options
@kind_options
@options.flag("--no-max-total", help="Remove the limit set with --max-total.")
@click.option(
    "--auto-import/--no-auto-import",
    default=None,
    help="Import new files on the node as they appear, or not.",
)
def modify(
    node: str,
    group: str | None,
    io_config_text: str | None,
    io_vars: tuple[str, ...],
    no_max_total: bool,
    auto_import: bool | None,
    **values: Any,
) -> None:
    """Change the storage node NODE.

    What is not given stays as it is; an empty value (--notes=) clears a field.
    """
    columns = limits(values)
    if new_role := role(values):
        columns["storage_type"] = new_role
    if no_max_total:
        columns["max_total_gb"] = None
    if auto_import is not None:
        columns["auto_import"] = auto_import
    texts = {column: values[column] for column in TEXTS}
    changed = nodes.modify(node, group, texts, columns, io_config_text, io_vars)
    echo("Node updated." if changed else "No change.")


@command("rename", example="alpenhorn node rename transport1 transport_disk1")
@click.argument("node")
@click.argument("new_name")
def rename(node: str, new_name: str) -> None:
    """Give the storage node NODE the name NEW_NAME."""
    if nodes.rename(node, new_name):
        echo(f'Storage node "{node}" renamed to "{new_name}".')
    else:
        echo("No change.")


@command(
    "activate", example="alpenhorn node activate transport1 --host alpenhost1 --root /mnt/transport"
)
@click.argument("node")
@place_options
def activate(node: str, **texts: str | None) -> None:
    """Make the storage node NODE active, perhaps at a new place.

    The daemon of its host manages an active node. This is how to record that a transport device
    has moved. Nothing is changed if the node is active already.
    """
    if nodes.activate(node, texts):
        echo(f'Storage node "{node}" activated.')
    else:
        echo(f'Storage node "{node}" already active.')


@command("deactivate", example="alpenhorn node deactivate transport1")
@click.argument("node")
def deactivate(node: str) -> None:
    """Make the storage node NODE inactive."""
    if nodes.deactivate(node):
        echo(f'Storage node "{node}" deactivated.')
    else:
        echo(f'Storage node "{node}" already inactive.')
