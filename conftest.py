"""For all tests: hostile names do not break reports; Ctrl-C works in programs that they start."""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Any

import pytest


def pytest_configure() -> None:
    """Undo that SIGINT is ignored: a shell does so to its background jobs, and children inherit it.

    What is caught here is back at its default in the programs that tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Spell out what is no UTF-8, such as file names in captured logs.

    pytest-xdist sends reports from its workers as UTF-8; without this one bad name in a log line
    ends the whole run.
    """
    return _sendable((yield))


def _sendable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            return {_sendable(key): _sendable(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(_sendable(item) for item in value)
        case _:
            return value
