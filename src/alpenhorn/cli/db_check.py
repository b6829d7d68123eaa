"""``db check``: what is wrong in the Data Index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alpenhorn.cli import options, render
from alpenhorn.cli.command import command
from alpenhorn.cli.confirm import counted
from alpenhorn.common.logger import echo
from alpenhorn.db.queries.audit import Example, Gravity
from alpenhorn.errors import IndexProblem
from alpenhorn.services import index_check
from alpenhorn.services.index_check import Finding


@command("check", check_schema=False, example="alpenhorn db check --fix")
@options.flag("--fix", help="Repair what cannot lose anything.")
@options.json_option
def check(fix: bool, as_json: bool) -> None:
    """Look for what is wrong in the Data Index.

    Finds tables, columns and indexes that are missing, rows that refer to nothing or are there
    twice, states that cannot be, and hostile names; says how many rows, shows the first few, and
    what to do. Notes are about what is allowed but may surprise.

    Without --fix nothing is written. The exit status is 1 if a problem is left.
    """
    findings = []
    for finding in index_check.check(fix):
        findings.append(finding)
        if not as_json:
            _show(finding, fix)
    if as_json:
        render.show_json(_as_json(findings))
    unsolved = sum(finding.unsolved for finding in findings)
    if unsolved:
        hint = "" if fix or not _fixable(findings) else "  `alpenhorn db check --fix` repairs some."
        raise IndexProblem(f"The Data Index has {counted(unsolved, 'problem')}.{hint}")
    if not as_json:
        echo(_good_news(findings))


def _good_news(findings: Iterable[Finding]) -> str:
    repaired = sum(finding.rule.gravity is Gravity.PROBLEM for finding in findings)
    return (
        f"Repaired: {counted(repaired, 'problem')}."
        if repaired
        else "No problem in the Data Index."
    )


def _fixable(findings: Iterable[Finding]) -> bool:
    return any(finding.unsolved and finding.rule.fix for finding in findings)


def _show(finding: Finding, fix: bool) -> None:
    rule, found = finding.rule, finding.found
    echo(f"{rule.gravity.value.capitalize()}: {rule.wrong} ({found.count}).")
    for example in found.examples:
        echo(f"  {_text(example)}")
    if found.count > len(found.examples):
        echo(f"  and {found.count - len(found.examples)} more")
    if finding.fixed is not None:
        echo(f"  Repaired: {finding.fixed} ({_does(finding)}); left: {finding.left}.")
    if finding.failure:
        echo(f"  The repair failed: {render.printable(finding.failure)}")
    if finding.left:
        echo(f"  What to do: {rule.advice}")
        if rule.fix and not fix:
            echo(f"  --fix {rule.fix.does}.")
    echo()


def _does(finding: Finding) -> str:
    return finding.rule.fix.does if finding.rule.fix else ""


def _text(example: Example) -> str:
    """Write the columns that tell which row it is."""
    return ", ".join(
        f"{name} {'NULL' if value is None else render.printable(str(value))}"
        for name, value in example.items()
    )


def _as_json(findings: Iterable[Finding]) -> dict[str, Any]:
    return {
        "ok": not any(finding.unsolved for finding in findings),
        "findings": [
            {
                "key": finding.rule.key,
                "gravity": finding.rule.gravity.value,
                "wrong": finding.rule.wrong,
                "count": finding.found.count,
                "examples": finding.found.examples,
                "advice": finding.rule.advice,
                "fixable": finding.rule.fix is not None,
                "fixed": finding.fixed,
                "left": finding.left,
                "failure": finding.failure,
            }
            for finding in findings
        ],
    }
