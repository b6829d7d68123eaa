"""What the checks report: findings, in sections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import peewee as pw

from alpenhorn.common.processes import timeout_call
from alpenhorn.db.retry import in_one_line
from alpenhorn.errors import AlpenhornError


class Status(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Works, but perhaps not as somebody expects."""
    PROBLEM = "problem"
    """Something that the daemon needs does not work."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Args:
        section: what it is about: ``Database``, ``Node n1``, ``Route a -> b``.
        what: the check, in a word or two.
        status: how serious it is.
        text: what was found, in one line.
        advice: what to do about it; empty if nothing is to be done.
    """

    section: str
    what: str
    status: Status
    text: str
    advice: str = ""

    @property
    def good(self) -> bool:
        """Whether it is no problem; a warning is none."""
        return self.status is not Status.PROBLEM


Findings = Iterator[Finding]


@dataclass(frozen=True)
class Section:
    """Makes the findings of one section."""

    name: str

    def ok(self, what: str, text: str) -> Finding:
        """All is well."""
        return Finding(self.name, what, Status.OK, _line(text))

    def warning(self, what: str, text: str, advice: str) -> Finding:
        """Works, but perhaps not as somebody expects."""
        return Finding(self.name, what, Status.WARNING, _line(text), _line(advice))

    def problem(self, what: str, text: str, advice: str) -> Finding:
        """Does not work."""
        return Finding(self.name, what, Status.PROBLEM, _line(text), _line(advice))

    def judged(self, good: bool, what: str, text: str, advice: str) -> Finding:
        """Return `ok` or, with the advice, a problem."""
        return self.ok(what, text) if good else self.problem(what, text, advice)

    def guarded(self, findings: Iterable[Finding]) -> Findings:
        """Pass findings on; a check that fails itself becomes one, and ends this sequence."""
        try:
            yield from findings
        except TimeoutError as error:
            yield self.problem("time limit", str(error), "Find out what hangs, and try again.")
        except (AlpenhornError, pw.PeeweeException, OSError) as error:
            yield self.problem("check", in_one_line(error), "Mend that first, and try again.")
        except Exception as error:  # whatever it is, the other checks go on
            text = f"this check failed: {type(error).__name__}: {in_one_line(error)}"
            yield self.problem("check", text, "Please report this as a bug of alpenhorn.")


def within(seconds: float, what: str, call: Callable[[], object]) -> str | None:
    """Make a call that may hang.

    Args:
        seconds: how long it may take.
        what: what is called, for the text.
        call: the call; it goes on in a thread of its own if it is given up.

    Returns:
        Why it failed, in one line; None for a success.
    """
    try:
        timeout_call(call, seconds)
    except TimeoutError:
        return f"{what} did not end within {seconds:g} s"
    except Exception as error:  # extension modules may raise anything
        return in_one_line(error) or type(error).__name__
    return None


def _line(text: str) -> str:
    return " ".join(text.split())
