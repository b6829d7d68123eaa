"""Database errors as a front end reports them: one line, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import peewee as pw

from alpenhorn.db.retry import in_one_line
from alpenhorn.errors import IndexProblem


@contextmanager
def reported() -> Iterator[None]:
    """Turn what the database raises inside into an error for a person.

    Raises:
        IndexProblem: with the cause in one line; an open transaction was rolled back.
    """
    try:
        yield
    except pw.PeeweeException as error:
        raise IndexProblem(f"Data Index error: {in_one_line(error)}") from error
