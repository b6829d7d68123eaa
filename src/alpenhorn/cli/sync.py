"""``group sync`` and ``node sync``: the same, with the arguments exchanged (spec: cli.md §8.7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import click

from alpenhorn.cli import confirm, options, waiting
from alpenhorn.cli.command import Rule, command, exclusive, given, requires
from alpenhorn.cli.confirm import counted, files
from alpenhorn.cli.render import printable
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db.queries.bulk import Amount
from alpenhorn.services import lookup
from alpenhorn.services.limits import file_filter
from alpenhorn.services.sync import CancelPlan, SyncPlan, plan_cancel, plan_sync
from alpenhorn.services.waiting_work import copies


def _rules(other_end: str) -> tuple[Rule, ...]:
    """Return the rules; `other_end` is the argument that ``--all`` stands for."""

    def one_or_all(ctx: click.Context) -> None:
        name = other_end.upper()
        if ctx.params["everything"] and given(ctx, other_end):
            raise click.UsageError(f"Can't use --all with {name}", ctx)
        if not ctx.params["everything"] and not given(ctx, other_end):
            raise click.UsageError(f"{name} or --all must be provided", ctx)

    return (
        exclusive("check", "force"),
        exclusive("cancel", "targets"),
        requires("everything", "cancel"),
        one_or_all,
        *waiting.rules("check", "cancel"),
    )


_options: options.Decorator = options.all_of(
    options.acq_option,
    options.file_list_option,
    options.target_option("Skip files that are healthy in this group; may be repeated: in any."),
    options.flag("-x", "--cancel", help="Cancel pending requests instead of making them."),
    options.flag("-a", "--all", "everything", help="With --cancel: whatever the other end is."),
    options.flag("--show-acqs", help="List the acquisitions concerned."),
    options.flag("--show-files", help="List the files concerned."),
    options.confirm_options(),
)


@command(
    "sync", *_rules("node"), example="alpenhorn group sync demo_storage2 demo_storage1 --show-files"
)
@click.argument("group")
@click.argument("node", required=False)
@_options
@waiting.wait_options
def group_sync(group: str, node: str | None, **values: Any) -> waiting.Asked:
    """Have all files that are on NODE and not in GROUP copied there.

    With --cancel, pending requests from NODE (with --all: from anywhere) into GROUP are cancelled.
    """
    return _sync(node, group, **values)


@command(
    "sync", *_rules("group"), example="alpenhorn node sync demo_storage1 demo_storage2 --show-files"
)
@click.argument("node")
@click.argument("group", required=False)
@_options
@waiting.wait_options
def node_sync(node: str, group: str | None, **values: Any) -> waiting.Asked:
    """Have all files that are on NODE and not in GROUP copied there.

    With --cancel, pending requests from NODE into GROUP (with --all: into any) are cancelled.
    """
    return _sync(node, group, **values)


@dataclass(frozen=True)
class _Details:
    """What is listed beside the numbers."""

    show_acqs: bool
    show_files: bool

    def __bool__(self) -> bool:
        return self.show_acqs or self.show_files

    def print(self, found: Iterable[tuple[str, list[str]]], noun: str) -> None:
        """List acquisitions, files, or both."""
        echo()
        if not self.show_acqs:
            for path in sorted(path for _, paths in found for path in paths):
                echo(printable(path))
            return
        for acq, paths in found:
            echo(f"{printable(acq)} [{counted(len(paths), noun)}]")
            for path in paths if self.show_files else ():
                echo(f"    {printable(path)}")


def _sync(
    node: str | None,
    group: str | None,
    *,
    acqs: tuple[str, ...],
    file_list: str | None,
    targets: tuple[str, ...],
    cancel: bool,
    everything: bool,
    show_acqs: bool,
    show_files: bool,
    check: bool,
    force: bool,
    wait: bool,
) -> waiting.Asked:
    source = None if node is None else lookup.node(node)
    dest = None if group is None else lookup.group(group)
    skipped = tuple(target.id for target in lookup.groups(targets))
    limits = file_filter(acqs, file_list, source.root if source else None)
    details = _Details(show_acqs, show_files)
    check = confirm.check_if_redirected(file_list, check, force)
    if cancel or source is None or dest is None:
        confirm.two_passes(
            lambda: plan_cancel(source, dest, limits),
            _AnnounceCancel(details),
            lambda n: echo(f"\nCancelled {counted(n, 'transfer request')}."),
            check=check,
            force=force,
        )
    else:
        limits = replace(limits, healthy_in_none=skipped)
        work = copies(source, dest, limits) if wait else None
        done = confirm.two_passes(
            lambda: plan_sync(source, dest, limits),
            _AnnounceSync(f'from Node "{source.name}" to Group "{dest.name}"', details),
            lambda n: echo(f"\nAdded {counted(n, 'new copy request')}."),
            check=check,
            force=force,
        )
        return work if done else waiting.NOT_DONE
    return None


@dataclass(frozen=True)
class _AnnounceSync:
    """Says which copies are requested."""

    route: str
    details: _Details

    def __call__(self, plan: SyncPlan, *, doing: bool, details: bool) -> bool:
        if plan.scheduled.count:
            echo(f"{_amount(plan.scheduled)} already scheduled for sync {self.route}.")
        if not plan.count:
            echo("No additional files to sync." if plan.scheduled.count else "No files to sync.")
            return False
        listed = details and bool(self.details)
        verb = "Syncing" if doing else "Would sync"
        echo(f"{verb} {_amount(plan.amount)} {self.route}{':' if listed else '.'}")
        if listed:
            self.details.print(plan.files(), "file")
        return True


@dataclass(frozen=True)
class _AnnounceCancel:
    """Says which requests are cancelled."""

    details: _Details

    def __call__(self, plan: CancelPlan, *, doing: bool, details: bool) -> bool:
        if not plan.count:
            echo("No requests to cancel.")
            return False
        listed = details and bool(self.details)
        verb = "Cancelling" if doing else "Would cancel"
        requests = counted(plan.count, "pending transfer request")
        echo(f"{verb} {requests}{':' if listed else '.'}")
        if listed:
            self.details.print(plan.files(), "request")
        return True


def _amount(amount: Amount) -> str:
    size = "unknown size" if amount.size_b is None else pretty_bytes(amount.size_b)
    return f"{files(amount.count)} ({size})"
