"""Findings: one line each, and a check that breaks does not end the examination."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import peewee as pw
import pytest

from alpenhorn.errors import StorageError
from alpenhorn.services.doctor.report import Finding, Section, Status, within

SECTION = Section("Subject")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StorageError("the disk is gone"), "the disk is gone"),
        (pw.OperationalError("(2006, 'gone')\nline two"), "(2006, 'gone') line two"),
        (TimeoutError("it took longer than 3 s"), "it took longer than 3 s"),
        (OSError(5, "Input/output error"), "[Errno 5] Input/output error"),
        (ZeroDivisionError("by zero"), "this check failed: ZeroDivisionError: by zero"),
    ],
)
def test_a_check_that_breaks_becomes_a_problem(error: Exception, text: str) -> None:
    """What was found before is kept, and the next section has its turn."""

    def findings() -> Iterator[Finding]:
        yield SECTION.ok("first", "good")
        raise error

    first, second = SECTION.guarded(findings())
    assert first.good
    assert (second.status, second.text) == (Status.PROBLEM, text)
    assert second.advice


def test_a_text_of_several_lines_is_one() -> None:
    assert SECTION.problem("x", "one\n  two", "three\nfour").text == "one two"


def test_a_call_that_hangs_is_given_up() -> None:
    ever = threading.Event()
    try:
        assert within(0.05, "importing x", ever.wait) == "importing x did not end within 0.05 s"
    finally:
        ever.set()


def test_a_call_that_works_has_no_problem() -> None:
    assert within(10, "x", lambda: None) is None
