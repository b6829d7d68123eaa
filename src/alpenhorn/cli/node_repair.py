"""``node repair``: have corrupt and missing copies replaced."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

from alpenhorn.cli import confirm, options, render, waiting
from alpenhorn.cli.command import Rule, command, exclusive, given, requires
from alpenhorn.cli.confirm import counted, files
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db.queries.repair import Case
from alpenhorn.services import lookup
from alpenhorn.services.limits import file_filter
from alpenhorn.services.repair import RepairPlan, plan_repair
from alpenhorn.services.waiting import Outcome, Progress
from alpenhorn.services.waiting_work import repairs

_NOT_NEEDED = {
    Case.REQUESTED: "wait for transfers already requested",
    Case.ELSEWHERE: "are healthy on another node of the group: left alone",
}


def _node_or_all(ctx: click.Context) -> None:
    if given(ctx, "everything") == (ctx.params["node"] is not None):
        raise click.UsageError("either NODE or --all must be provided", ctx)


def _no_question_in_json(ctx: click.Context) -> None:
    params = ctx.params
    if params["as_json"] and not (params["check"] or params["force"]):
        raise click.UsageError("--json may only be used with --check or --force", ctx)


_RULES: tuple[Rule, ...] = (
    _node_or_all,
    exclusive("check", "force"),
    exclusive("check", "wait"),
    requires("timeout", "wait"),
    _no_question_in_json,
)


@command("repair", *_RULES, example="alpenhorn node repair demo_storage1 --force")
@click.argument("node", required=False)
@options.flag("-a", "--all", "everything", help="Repair all nodes.")
@options.acq_option
@options.file_list_option
@options.confirm_options()
@waiting.wait_and_timeout
@options.json_option
def repair(
    node: str | None,
    everything: bool,
    acqs: tuple[str, ...],
    file_list: str | None,
    check: bool,
    force: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Replace corrupt and missing copies on the storage node NODE.

    Each copy that should be there is transferred again from the best healthy copy: on an active
    node, on an archive node if there is one. Copies that cannot be repaired, since there is no
    healthy copy, are listed; the exit status is 1 then.

    With --wait the transfers that it asked for are followed.
    """
    record = None if node is None else lookup.node(node)
    limits = file_filter(acqs, file_list, record.root if record else None)
    work = repairs(record, limits) if wait else None
    seen: list[RepairPlan] = []
    made: list[int] = []

    def find() -> RepairPlan:
        seen.append(plan_repair(record, limits))
        return seen[-1]

    def report(count: int) -> None:
        made.append(count)
        echo(f"Requested {counted(count, 'transfer')}.")

    with _quiet(as_json):
        done = confirm.two_passes(
            find,
            _announce,
            report,
            check=confirm.check_if_redirected(file_list, check, force),
            force=force,
        )
    waited = _follow(work if done else waiting.NOT_DONE, timeout, as_json) if wait else None
    if as_json:
        shown = _as_object(seen[-1], sum(made))
        render.show_json(shown | {"waited": waiting.as_object(*waited)} if waited else shown)
    if waited and waited[1] is not Outcome.DONE:
        return waited[1].value
    return 1 if seen[-1].hopeless else 0


def _follow(asked: waiting.Asked, timeout: float | None, as_json: bool) -> tuple[Progress, Outcome]:
    progress, outcome = waiting.followed(asked, timeout)
    if progress.tally.total and not as_json:
        echo(waiting.closing(progress, outcome))
    return progress, outcome


@contextmanager
def _quiet(as_json: bool) -> Iterator[None]:
    """With --json, what is told goes to standard error."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def _announce(plan: RepairPlan, *, doing: bool, details: bool) -> bool:
    if details:
        _tell_rest(plan)
    if not plan.count:
        echo("No files to repair.")
        return False
    nodes = plan.by_node(Case.REPAIRABLE)
    verb = "Repairing" if doing else "Would repair"
    where = f' on Node "{nodes[0][0]}".' if len(nodes) == 1 else ":"
    echo(f"{verb} {files(plan.count)} ({pretty_bytes(plan.size_b)}){where}")
    if len(nodes) > 1:
        for name, amount in nodes:
            echo(f"  {render.printable(name)}: {files(amount.count)}")
    return True


def _tell_rest(plan: RepairPlan) -> None:
    """Say what is not repaired, and list what cannot be."""
    for case, words in _NOT_NEEDED.items():
        if count := plan.amount(case).count:
            echo(f"{files(count)} {words}.")
    if plan.hopeless:
        echo(f"Cannot repair {files(plan.hopeless)}: no healthy copy anywhere.")
        for node, path, what in plan.unrepairable():
            echo(f"  {render.printable(path)} on {render.printable(node)}: {what}")


def _as_object(plan: RepairPlan, requested: int) -> dict[str, Any]:
    return {
        "requested": requested,
        "repairable": plan.count,
        "repairable_b": plan.size_b,
        "pending": plan.amount(Case.REQUESTED).count,
        "elsewhere": plan.amount(Case.ELSEWHERE).count,
        "unrepairable": [
            {"node": node, "path": path, "state": what} for node, path, what in plan.unrepairable()
        ],
    }
