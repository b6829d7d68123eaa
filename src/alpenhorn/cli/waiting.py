"""``--wait``: follow what a command asked for until the daemons have done it.

A command that has the options of `wait_options` gets the argument `wait` and returns what is to be
followed: a `Work`, made before the requests were written; None if there is nothing to wait for;
`NOT_DONE` if the wish was not carried out. Without ``--wait`` what it returns is ignored.

Standard output gets one closing line; with ``--json`` nothing but one object, since all other text
of the command goes to standard error then. On a terminal the progress is shown on standard error
meanwhile.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import replace
from functools import wraps
from typing import Any

import click

from alpenhorn.cli import colour, options
from alpenhorn.cli.command import Rule, exclusive, requires
from alpenhorn.cli.confirm import files
from alpenhorn.cli.render import printable, show_json
from alpenhorn.cli.settings import Settings
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes, pretty_deltat
from alpenhorn.services.waiting import Outcome, Progress, Stuck, Tally, Work, watch

Asked = Work | Outcome | None
"""What a command returns that can be waited for."""

NOT_DONE = Outcome.FAILED
"""The command did not do what it was told to, and said why."""

clock: Callable[[], float] = time.monotonic
pause: Callable[[float], None] = time.sleep

_HEADS = {
    Outcome.DONE: "Done",
    Outcome.FAILED: "Failed",
    Outcome.TIMED_OUT: "Timed out",
    Outcome.INTERRUPTED: "Interrupted",
}
_LEAST_S = 1.0

wait_and_timeout = options.all_of(
    options.flag("--wait", help="Follow the work until it is done; exit status 3: some failed."),
    click.option(
        "--timeout",
        metavar="SECONDS",
        type=options.ZERO_OR_MORE,
        help="With --wait: give up after so many seconds, with exit status 4.",
    ),
)
"""For commands with a ``--json`` of their own."""

_options = options.all_of(
    wait_and_timeout,
    options.flag("--json", "as_json", help="With --wait: print one JSON object at the end."),
)


def rules(*excluded: str) -> tuple[Rule, ...]:
    """Return the rules on the options.

    Args:
        excluded: options with which nothing is asked for that could be waited for.
    """
    others = [exclusive(option, "wait") for option in excluded]
    return (requires("timeout", "wait"), requires("as_json", "wait"), *others)


def wait_options(function: Callable[..., Asked]) -> Callable[..., int | None]:
    """Add ``--wait``, ``--timeout`` and ``--json`` to a function that becomes a command."""

    @wraps(function)
    def run(
        *args: Any, wait: bool, timeout: float | None, as_json: bool, **values: Any
    ) -> int | None:
        if not wait:
            function(*args, wait=False, **values)
            return None
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            asked = function(*args, wait=True, **values)
        return follow(asked, timeout, as_json).value

    return _options(run)


def follow(asked: Asked, timeout_s: float | None, as_json: bool) -> Outcome:
    """Follow work until it has ended, and print how.

    Args:
        asked: what the command returned.
        timeout_s: give up after so many seconds; None: never.
        as_json: print an object instead of a line.

    Returns:
        How it ended; its value is the exit status.
    """
    progress, outcome = followed(asked, timeout_s)
    if as_json:
        show_json(as_object(progress, outcome))
    elif progress.tally.total != 0:
        echo(closing(progress, outcome))
    return outcome


def followed(asked: Asked, timeout_s: float | None) -> tuple[Progress, Outcome]:
    """Do what `follow` does, but print nothing at the end."""
    if isinstance(asked, Outcome) or asked is None:
        progress = Progress(Tally(total=0), 0.0, outcome=asked or Outcome.DONE)
    else:
        progress = _to_the_end(asked, timeout_s)
    return progress, progress.outcome or Outcome.DONE


def closing(progress: Progress, outcome: Outcome) -> str:
    """Say in one line how it ended: how much was done, what was not, and why."""
    tally = progress.tally
    rests = [f"{tally.failed[0]} {tally.failed_as}"] if tally.failed[0] else []
    if tally.pending[0]:
        why = ", ".join(map(reason, progress.stuck))
        rests.append(f"{tally.pending[0]} pending{': ' if why else ''}{why}")
    return f"{_HEADS[outcome]}: {'; '.join([amount(progress), *rests])}."


def amount(progress: Progress) -> str:
    """Say how far it is and at what rate."""
    tally = progress.tally
    count = files(tally.done[0])
    if tally.total is not None:
        count = f"{tally.done[0]} of {files(tally.total)}"
    text = f"{count} ({pretty_bytes(tally.done[1])}) in {pretty_deltat(progress.seconds)}"
    if progress.seconds < _LEAST_S or not tally.done[0]:
        return text
    rate = pretty_bytes(int(progress.bytes_per_second))
    return f"{text}, {progress.files_per_second:.1f} files/s, {rate}/s"


def reason(stuck: Stuck) -> str:
    """Say why some files do not move, in one line."""
    return f"{printable(stuck.reason)} ({files(stuck.count)})"


def _to_the_end(work: Work, timeout_s: float | None) -> Progress:
    last = Progress(Tally(), 0.0)
    try:
        with _display() as show:
            for last in watch(work, timeout_s, clock, pause):
                show(last)
    except KeyboardInterrupt:
        return replace(last, outcome=Outcome.INTERRUPTED)
    return last


def _display() -> AbstractContextManager[Callable[[Progress], None]]:
    """Return what shows the progress: on a terminal only, and not if we are to be quiet."""
    context = click.get_current_context(silent=True)
    settings = context.find_object(Settings) if context else None
    if not colour.is_terminal(sys.stderr) or (settings and settings.verbosity < 3):
        return nullcontext(lambda _progress: None)
    # Needed on terminals only; the command's start-up time counts.
    from alpenhorn.cli.waiting_display import display

    return display(amount, reason)


def as_object(progress: Progress, outcome: Outcome) -> dict[str, Any]:
    """Say how work ended, for ``--json``."""
    tally = progress.tally
    return {
        "result": outcome.name.lower(),
        "total": tally.total,
        "done": tally.done[0],
        "failed": tally.failed[0],
        "pending": tally.pending[0],
        "done_b": tally.done[1],
        "failed_b": tally.failed[1],
        "pending_b": tally.pending[1],
        "seconds": round(progress.seconds, 3),
        "files_per_second": round(progress.files_per_second, 3),
        "bytes_per_second": round(progress.bytes_per_second, 3),
        "stuck": [{"reason": stuck.reason, "files": stuck.count} for stuck in progress.stuck],
    }
