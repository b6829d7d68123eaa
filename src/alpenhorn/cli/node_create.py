"""``node create`` and the options that it shares with ``node modify`` (spec: cli.md §9.4)."""

from __future__ import annotations

from typing import Any

import click

from alpenhorn.cli import options
from alpenhorn.cli.command import command, exclusive, one_of
from alpenhorn.common.logger import echo
from alpenhorn.db import StorageType
from alpenhorn.services import io_config, nodes

ROLES = {
    "archive": StorageType.ARCHIVE,
    "field": StorageType.FIELD,
    "transport": StorageType.TRANSPORT,
}
TEXTS = ("address", "host", "io_class", "notes", "root", "username")

only_one_role = exclusive(*ROLES)

place_options: options.Decorator = options.all_of(
    options.field("--address", metavar="ADDR", help="Where other hosts log in to reach it."),
    options.field("--username", metavar="USER", help="As whom other hosts log in."),
    options.field("--host", metavar="HOST", help="Host whose daemon manages the node."),
    options.field("--root", metavar="ROOT", help="Directory (mount point) of the node."),
)

kind_options: options.Decorator = options.all_of(
    options.class_option,
    options.io_config_options,
    options.notes_option,
    options.flag("--archive", help="Copies here are for keeping."),
    options.flag("--field", help="Copies here are neither for keeping nor for transport."),
    options.flag("--transport", help="Copies here are on their way to somewhere else."),
    click.option(
        "--auto-verify",
        metavar="COUNT",
        type=click.IntRange(min=0),
        help="Copies to verify again in each pass of the daemon; 0 for none.",
    ),
    click.option(
        "--max-total",
        metavar="SIZE",
        type=options.ABOVE_ZERO,
        help="Most GiB of files on the node.",
    ),
    click.option(
        "--min-avail",
        metavar="SIZE",
        type=options.ZERO_OR_MORE,
        help="GiB to be left free on the node.",
    ),
)


def role(values: dict[str, Any]) -> StorageType | None:
    """Take the role flags out of the values; return the role, None if no flag was given."""
    flags = {name: values.pop(name) for name in ROLES}
    return next((ROLES[name] for name, given in flags.items() if given), None)


def limits(values: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of those numeric options that were given."""
    columns = {"auto_verify": "auto_verify", "max_total": "max_total_gb"}
    columns["min_avail"] = "min_avail_gb"
    return {
        column: values[option] for option, column in columns.items() if values[option] is not None
    }


@command(
    "create",
    one_of("group", "create_group"),
    example="alpenhorn node create demo_storage4 --create-group --archive \\\n"
    "    --host alpenhost4 --root /data --init --activate",
)
@click.argument("name")
@options.field("--group", metavar="GROUP", help="Put the node into this existing group.")
@options.flag("--create-group", help="Make a group of the same name for the node.")
@place_options
@kind_options
@options.flag("--auto-import", help="Import new files on the node as they appear.")
@options.flag("--activate", help="Make the node active at once.")
@options.flag("--init", help="Have the node initialised by its daemon.")
@click.pass_context
def create(
    ctx: click.Context,
    /,
    name: str,
    group: str | None,
    create_group: bool,
    io_config_text: str | None,
    io_vars: tuple[str, ...],
    auto_import: bool,
    activate: bool,
    init: bool,
    **values: Any,
) -> None:
    """Create the storage node NAME.

    Either --group or --create-group is needed. Without --archive or --transport the node is a
    field node.
    """
    config = io_config.build(io_config_text, io_vars)
    only_one_role(ctx)
    columns = {
        "storage_type": role(values) or StorageType.FIELD,
        "io_config": config,
        "auto_import": auto_import,
        "active": activate,
        **limits(values),
    }
    texts = {column: values[column] for column in TEXTS}
    nodes.create(name, group, texts, columns, init)
    if create_group:
        echo(f'Created storage group "{name}".')
    echo(f'Created storage node "{name}".')
