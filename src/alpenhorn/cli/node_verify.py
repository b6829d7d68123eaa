"""``node verify`` (spec: cli.md §9.14)."""

from __future__ import annotations

from dataclasses import dataclass

import click

from alpenhorn.cli import confirm, options, waiting
from alpenhorn.cli.command import command, exclusive
from alpenhorn.cli.confirm import files
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db import HasFile
from alpenhorn.services import lookup
from alpenhorn.services.limits import file_filter
from alpenhorn.services.verify import VerifyPlan, plan_cancel, plan_verify
from alpenhorn.services.waiting_work import checks

_STATES = {"corrupt": HasFile.CORRUPT, "healthy": HasFile.PRESENT, "missing": HasFile.ABSENT}


def _one_state_to_force(ctx: click.Context) -> None:
    if ctx.params["cancel"]:
        exclusive(*_STATES)(ctx)


@command(
    "verify",
    exclusive("check", "force"),
    _one_state_to_force,
    *waiting.rules("check", "cancel"),
    example="alpenhorn node verify demo_storage1 --all --acq 2025/02/21",
)
@click.argument("node")
@options.flag("-a", "--all", "everything", help="Same as --corrupt --healthy --missing.")
@options.flag("--corrupt", help="Verify corrupt files; with --cancel: call them corrupt.")
@options.flag("--healthy", help="Verify healthy files; with --cancel: call them healthy.")
@options.flag("--missing", help="Verify missing files; with --cancel: call them missing.")
@options.flag("--cancel", help="Cancel verification: force the state of files that wait for it.")
@options.acq_option
@options.file_list_option
@options.confirm_options(short=False)
@waiting.wait_options
def verify(
    node: str,
    everything: bool,
    cancel: bool,
    acqs: tuple[str, ...],
    file_list: str | None,
    check: bool,
    force: bool,
    wait: bool,
    **flags: bool,
) -> waiting.Asked:
    """Have files on the storage node NODE verified by its daemon.

    Without further options corrupt and missing files are verified; with --cancel files become
    corrupt.
    """
    record = lookup.node(node)
    limits = file_filter(acqs, file_list, record.root)
    chosen = [state for state in _STATES if flags[state]]
    states = list(_STATES) if everything else chosen or ["corrupt", "missing"]
    work = checks(record, limits, [_STATES[state] for state in states]) if wait else None

    def find() -> VerifyPlan:
        if cancel:
            return plan_cancel(record, _STATES[(chosen or ["corrupt"])[0]], limits)
        return plan_verify(record, states, limits)

    done = confirm.two_passes(
        find,
        _Announce((chosen or ["corrupt"])[0] if cancel else None),
        lambda count: echo(f"Updated {files(count)}."),
        check=confirm.check_if_redirected(file_list, check, force),
        force=force,
    )
    return work if done else waiting.NOT_DONE


@dataclass(frozen=True)
class _Announce:
    """Says what is verified, or forced into a state."""

    forced: str | None

    def __call__(self, plan: VerifyPlan, *, doing: bool, details: bool) -> bool:
        if not plan.count:
            echo("No matching files.")
            return False
        size = "unknown size" if plan.size_b is None else pretty_bytes(plan.size_b)
        amount = f"{files(plan.count)} ({size})"
        if self.forced:
            verb = "Forcing" if doing else "Would force"
            echo(f"{verb} status of {amount} to {self.forced}.")
        else:
            verb = "Requesting" if doing else "Would request"
            echo(f"{verb} verification of {amount}.")
        return True
