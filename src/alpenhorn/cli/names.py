"""Names that the shell completes, as the Data Index has them.

What an option or argument is called in the help text tells which names it takes: ``NODE``,
``GROUP``, ``ACQ``, ``CLASS``. Completion is a courtesy: without configuration or index it offers
nothing, says nothing, and does not make anybody wait.
"""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import click
from click.shell_completion import CompletionItem

from alpenhorn import bootstrap, db
from alpenhorn.common import config
from alpenhorn.services import completion

PATIENCE_S = 2.0
"""A database that takes longer than this to answer is not asked further."""

_KINDS = {
    "NODE": "node",
    "SRC": "node",
    "GROUP": "group",
    "DEST": "group",
    "ACQ": "acq",
    "CLASS": "class",
}


class Name(click.types.StringParamType):
    """Text, of which the known values are offered for completion."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the known names that begin with what was typed so far."""
        settings = ctx.find_root().params
        kind = self.kind
        if kind == "class":
            kind = f"{ctx.parent.info_name if ctx.parent else ''} class"
        try:
            with _quiet(), _time_limit():
                _start(settings)
                return [CompletionItem(name) for name in completion.names(kind, incomplete)]
        except Exception:  # whatever it is: the user is typing, and is told when the line is run
            return []
        finally:
            db.close()


def complete_names(param: click.Parameter) -> None:
    """Have the shell complete a parameter, if it is one that takes names."""
    called = param.metavar or (param.name or "").upper()
    if called in _KINDS and type(param.type) is click.types.StringParamType:
        param.type = Name(_KINDS[called])


def _start(settings: dict[str, Any]) -> None:
    if settings.get("test_isolation"):
        config.test_isolation()
    bootstrap.start(cli=True, conf=settings.get("conf"), verbosity=1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nobody, not even an extension module, print into the user's line."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise `TimeoutError` inside when `PATIENCE_S` are over."""

    def expire(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
