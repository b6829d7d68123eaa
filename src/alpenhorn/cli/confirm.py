"""Show what would be done, ask, search again, do it (spec: cli.md §2.6)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

import click

from alpenhorn.common.logger import echo
from alpenhorn.services.plan import Plan

log = logging.getLogger(__name__)

_P = TypeVar("_P", bound=Plan)
_P_contra = TypeVar("_P_contra", bound=Plan, contravariant=True)


class Announce(Protocol[_P_contra]):
    """Says what will be, or is being done."""

    def __call__(self, plan: _P_contra, *, doing: bool, details: bool) -> bool:
        """Print it.

        Args:
            plan: what was found.
            doing: False in the check pass ("Would ..."), True in the update pass ("...ing ...").
            details: print the details too: true in the first pass that runs.

        Returns:
            False if there is nothing to do, which was said then.
        """


def two_passes(
    find: Callable[[], _P],
    announce: Announce[_P],
    report: Callable[[int], None],
    *,
    check: bool,
    force: bool,
) -> bool:
    """Run the passes of a confirmable command.

    Args:
        find: searches for what there is to do; called once per pass.
        announce: prints the plan.
        report: prints how many rows were changed.
        check: end after the check pass.
        force: skip the check pass and the question.

    Returns:
        False if it was not done: it ended with the check pass, or the answer was no.

    Raises:
        click.Abort: end of input, or interrupt, at the prompt; nothing was written.
    """
    if not force:
        found = announce(find(), doing=False, details=True)
        if check or not found:
            return not check
        if not _agreed():
            return False
    plan = find()
    if announce(plan, doing=True, details=force):
        report(plan.apply())
    return True


def check_if_redirected(file_list: str | None, check: bool, force: bool) -> bool:
    """Return whether only to check: nobody can answer if the file list is standard input."""
    if file_list == "-" and not force and not check:
        log.warning("Standard input redirected without --force: check mode enabled.")
        return True
    return check


def files(count: int) -> str:
    """Write a number of files: ``1 file``, ``2 files``."""
    return counted(count, "file")


def counted(count: int, noun: str) -> str:
    """Write a number of things, in the singular for exactly one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _agreed() -> bool:
    echo()
    agreed = click.confirm("Continue?", default=False)
    echo()
    if not agreed:
        echo("Cancelled.")
    return agreed
