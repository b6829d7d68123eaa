"""What ``doctor`` prints: findings as they come, or all of them as JSON."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from alpenhorn.cli import colour, render
from alpenhorn.cli.settings import Settings
from alpenhorn.common import config, logger
from alpenhorn.common.logger import echo
from alpenhorn.services.doctor.examine import examine
from alpenhorn.services.doctor.report import Finding, Status


def report(settings: Settings, node: str | None, with_routes: bool, as_json: bool) -> int:
    """Examine this host and print what was found.

    Args:
        settings: the global options.
        node: see `examine`.
        with_routes: see `examine`.
        as_json: print JSON instead of text.

    Returns:
        The exit status: 1 if there is a problem, else 0.
    """
    _prepare(settings)
    findings = examine(settings.conf, node, with_routes)
    statuses = _print_json(findings) if as_json else _print(findings)
    return 1 if Status.PROBLEM in statuses else 0


def _prepare(settings: Settings) -> None:
    logger.init_logging(True, settings.verbosity)
    if settings.verbosity <= logger.DEFAULT_VERBOSITY:
        logging.getLogger().setLevel(logging.ERROR)  # warnings are among the findings
    if settings.isolated:
        config.test_isolation()


def _print_json(findings: Iterable[Finding]) -> list[Status]:
    found = list(findings)
    statuses = [finding.status for finding in found]
    render.show_json(
        {
            "ok": Status.PROBLEM not in statuses,
            "problems": statuses.count(Status.PROBLEM),
            "warnings": statuses.count(Status.WARNING),
            "findings": [
                {
                    "section": finding.section,
                    "check": finding.what,
                    "status": finding.status.value,
                    "text": finding.text,
                    "advice": finding.advice or None,
                }
                for finding in found
            ],
        }
    )
    return statuses


def _print(findings: Iterable[Finding]) -> list[Status]:
    """Print each finding as soon as it is there: some checks take a while."""
    statuses: list[Status] = []
    section = ""
    for finding in findings:
        if finding.section != section:
            echo(("\n" if section else "") + render.text(finding.section))
            section = finding.section
        statuses.append(finding.status)
        _print_finding(finding)
    echo(f"\n{_summary(statuses)}")
    return statuses


def _print_finding(finding: Finding) -> None:
    status = colour.state(f"{finding.status.value:<7}")
    echo(f"  {status}  {finding.what:<12}  {render.text(finding.text)}")
    if finding.advice:
        echo(f"{'':25}-> {render.text(finding.advice)}")


def _summary(statuses: list[Status]) -> str:
    problems, warnings = statuses.count(Status.PROBLEM), statuses.count(Status.WARNING)
    if not problems and not warnings:
        return "All is well."
    return f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}.".capitalize()


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
