"""Extensions that make the connection to the Data Index, in place of ``database.url``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import peewee as pw

from alpenhorn.extensions.base import Extension

DatabaseConnect: TypeAlias = Callable[..., pw.Database]
"""Called with the keyword argument `config`, the ``database`` section of the configuration."""


class DatabaseExtension(Extension):
    """Makes the connection to the Data Index (spec: extensions.md §4); one at most is in use.

    Args:
        name: see `Extension`, as are the versions.
        version: see `Extension`.
        connect: called once, in the main thread; returns a `peewee.Database`, or raises
            `peewee.OperationalError` with a text for a person.
        close: called without arguments when the connection is to be closed; None: the database's
            own `close` is.
        reentrant: may several threads use the connection? If not, the daemon has no workers.
        min_version: see `Extension`.
        max_version: see `Extension`.

    Raises:
        ValueError: `connect` or `close` is not callable; see also `Extension`.
    """

    stage: ClassVar[int] = 1

    def __init__(
        self,
        name: str,
        version: str,
        connect: DatabaseConnect,
        close: Callable[[], Any] | None = None,
        reentrant: bool = False,
        min_version: str | None = None,
        max_version: str | None = None,
    ) -> None:
        super().__init__(name, version, min_version, max_version)
        if not callable(connect):
            raise ValueError("connect not callable.")
        if close is not None and not callable(close):
            raise ValueError("close not callable.")
        self.connect = connect
        self.close = close
        self.reentrant = bool(reentrant)
