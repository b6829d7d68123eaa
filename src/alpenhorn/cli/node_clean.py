"""``node clean`` (spec: cli.md §9.3)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

import click

from alpenhorn.cli import confirm, options, waiting
from alpenhorn.cli.command import command, exclusive, requires
from alpenhorn.cli.confirm import files
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes, utcnow
from alpenhorn.db import StorageNode, WantsFile
from alpenhorn.db.queries.clean import CleanScope
from alpenhorn.services import lookup
from alpenhorn.services.clean import CleanPlan, plan_clean, refuse_archive
from alpenhorn.services.limits import file_filter
from alpenhorn.services.waiting_work import removals

_WORDS = {
    WantsFile.RELEASED: ("Would release", "Releasing", ""),
    WantsFile.REMOVABLE: ("Would mark", "Marking", " for deferred cleaning"),
    WantsFile.KEEP: ("Would cancel", "Cancelling", " for cleaning"),
}
_BREAKDOWN = {
    WantsFile.KEEP: "present",
    WantsFile.REMOVABLE: "marked",
    WantsFile.RELEASED: "released",
}


@command(
    "clean",
    exclusive("cancel", "now"),
    exclusive("cancel", "size"),
    exclusive("check", "force"),
    *waiting.rules("check", "cancel"),
    requires("wait", "now"),
    example="alpenhorn node clean demo_storage1 --now --target demo_storage3",
)
@click.argument("node")
@options.flag("-n", "--now", help="Release for immediate removal, instead of when space is short.")
@options.flag("-x", "--cancel", help="Cancel cleaning of both kinds.")
@options.acq_option
@options.target_option("Only files that are healthy in this group; may be repeated: in every one.")
@click.option(
    "-d",
    "--days",
    metavar="COUNT",
    type=click.IntRange(min=1),
    help="Only files registered more than COUNT days ago.",
)
@options.file_list_option
@click.option(
    "-s",
    "--size",
    metavar="SIZE",
    type=options.ABOVE_ZERO,
    help="Stop once SIZE GiB are scheduled for cleaning.",
)
@options.flag("--include-bad", help="Clean suspect and corrupt copies too.")
@options.flag("--archive-ok", help="Allow cleaning an archive node.")
@options.confirm_options()
@waiting.wait_options
def clean(
    node: str,
    now: bool,
    cancel: bool,
    acqs: tuple[str, ...],
    targets: tuple[str, ...],
    days: int | None,
    file_list: str | None,
    size: float | None,
    include_bad: bool,
    archive_ok: bool,
    check: bool,
    force: bool,
    wait: bool,
) -> waiting.Asked:
    """Let copies on the storage node NODE be removed.

    Only copies of which enough others exist on archive nodes are really removed, by the daemon.
    """
    record = lookup.node(node)
    goal = WantsFile.KEEP if cancel else WantsFile.RELEASED if now else WantsFile.REMOVABLE
    refuse_archive(record, goal, archive_ok)
    groups = tuple(group.id for group in lookup.groups(targets))
    limits = replace(
        file_filter(acqs, file_list, record.root),
        healthy_in_all=groups,
        registered_before=utcnow() - datetime.timedelta(days=days) if days else None,
    )
    limit_b = None if size is None else int(size * 2**30)
    scope = CleanScope(record.id, goal, limits, include_bad, limit_b)
    work = removals(record, limits) if wait else None
    done = confirm.two_passes(
        lambda: plan_clean(scope),
        _Announce(record, goal, targets),
        lambda count: echo(f"Updated {files(count)}."),
        check=confirm.check_if_redirected(file_list, check, force),
        force=force,
    )
    return work if done else waiting.NOT_DONE


@dataclass(frozen=True)
class _Announce:
    """Says what is cleaned."""

    node: StorageNode
    goal: WantsFile
    targets: tuple[str, ...]

    def __call__(self, plan: CleanPlan, *, doing: bool, details: bool) -> bool:
        if details and self.node.archive and self.goal is not WantsFile.KEEP:
            echo(f'DANGER: "{self.node.name}" is an archive node!')
        if not plan.count:
            echo(self._nothing(plan))
            return False
        would, being, purpose = _WORDS[self.goal]
        breakdown = plan.by_state if len(plan.by_state) > 1 else []
        amount = f"{files(plan.count)} ({pretty_bytes(plan.size_b)})"
        end = ":" if breakdown else "."
        echo(f"{being if doing else would} {amount}{purpose}{end}")
        done = plan.contributing
        if plan.size_b and done.count:
            size = pretty_bytes(done.known_b)
            echo(f"{files(done.count)} ({size}) already contributing to the size constraint.")
        for wants, part in breakdown:
            count = confirm.counted(part.count, f"{_BREAKDOWN[wants]} file")
            echo(f"  {count} ({pretty_bytes(part.known_b)})")
        return True

    def _nothing(self, plan: CleanPlan) -> str:
        if not plan.in_targets:
            names = " and ".join(f'"{name}"' for name in self.targets)
            return f"There are no matching files in the target {names}."
        if plan.contributing.count:
            return "No files to clean: size constraint already satisfied."
        return "No files to clean."
