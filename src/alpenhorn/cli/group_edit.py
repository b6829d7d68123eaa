"""``group create``, ``modify``, ``rename`` and ``autosync`` (spec: cli.md §8)."""

from __future__ import annotations

import click

from alpenhorn.cli import options
from alpenhorn.cli.command import command
from alpenhorn.common.logger import echo
from alpenhorn.services import actions, groups, io_config, lookup, repair


@command("create", example="alpenhorn group create transport_group --class Transport")
@click.argument("name")
@options.class_option
@options.io_config_options
@options.notes_option
def create(
    name: str,
    io_class: str | None,
    io_config_text: str | None,
    io_vars: tuple[str, ...],
    notes: str | None,
) -> None:
    """Create the storage group NAME."""
    config = io_config.build(io_config_text, io_vars)
    io_class = "Default" if io_class is None else io_class
    groups.create(name, {"io_class": io_class, "notes": notes}, config)
    echo(f'Created storage group "{name}".')


@command("modify", example="alpenhorn group modify demo_storage2 --notes 'at the observatory'")
@click.argument("group")
@options.class_option
@options.io_config_options
@options.notes_option
@click.option(
    "--auto-repair/--no-auto-repair",
    default=None,
    help="Daemons replace corrupt and missing copies in the group by themselves, or not.",
)
def modify(
    group: str,
    io_class: str | None,
    io_config_text: str | None,
    io_vars: tuple[str, ...],
    notes: str | None,
    auto_repair: bool | None,
) -> None:
    """Change the storage group GROUP.

    What is not given stays as it is; an empty value (--notes=) clears a field.
    """
    texts = {"io_class": io_class, "notes": notes}
    changed = groups.modify(group, texts, io_config_text, io_vars)
    if auto_repair is not None:
        changed |= repair.set_auto_repair(lookup.group(group), auto_repair)
    echo("Storage group updated." if changed else "Nothing to do.")


@command("rename", example="alpenhorn group rename demo_storage2 archive")
@click.argument("group")
@click.argument("new_name")
def rename(group: str, new_name: str) -> None:
    """Give the storage group GROUP the name NEW_NAME."""
    if groups.rename(group, new_name):
        echo(f'Storage group "{group}" renamed to "{new_name}".')
    else:
        echo("No change.")


@command("autosync", example="alpenhorn group autosync demo_storage2 demo_storage1")
@click.argument("group")
@click.argument("node")
@options.flag("--remove", help="Stop syncing automatically.")
def autosync(group: str, node: str, remove: bool) -> None:
    """Sync files automatically from NODE into GROUP.

    From now on, files that are added to NODE are copied to GROUP. Files that are there already
    are not; use "group sync" for these.
    """
    group_to, node_from = lookup.group(group), lookup.node(node)
    if not actions.set_autosync(node_from, group_to, on=not remove):
        echo("No change.")
    elif remove:
        echo(f'Auto-sync from "{node}" stopped.')
    else:
        echo(f'Auto-sync from "{node}" started')
