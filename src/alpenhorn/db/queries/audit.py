"""What `alpenhorn db check` looks for: the shape of a rule, and how rows against it are found.

A rule looks with set-based statements and holds no more than a few rows; it writes nothing. Rules
by subject: `audit_schema`, `audit_references`, `audit_states`, `audit_names`, `audit_work`.

A rule may have a `Fix`: one short transaction whose statement has the rule's own condition, so
that it changes what is wrong at that moment. Only what cannot lose anything is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import peewee as pw

from alpenhorn.db.connection import change, database_proxy, repeat_on_deadlock

EXAMPLES = 3
"""So many of the rows are shown."""

Example = Mapping[str, Any]
"""Names and values of the columns that tell which row it is."""


class Gravity(Enum):
    """How much a finding matters."""

    PROBLEM = "problem"
    """Against the rules of the index."""
    NOTE = "note"
    """Allowed, but somebody should know of it."""


@dataclass(frozen=True)
class Found:
    """The rows against a rule: how many, and the first few."""

    count: int = 0
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Fix:
    """A repair that cannot lose anything."""

    does: str
    """What becomes of the rows; goes on after "``--fix``"."""
    run: Callable[[], int]
    """Do it in one transaction; returns the number of rows changed."""


@dataclass(frozen=True)
class Rule:
    """Something that must not be, or should be known."""

    key: str
    """Its name for programs."""
    wrong: str
    """What is wrong, in plain words."""
    advice: str
    """What a person can do about it."""
    find: Callable[[], Found]
    fix: Fix | None = None
    gravity: Gravity = Gravity.PROBLEM


def rows(select: Callable[[], Any]) -> Callable[[], Found]:
    """Find by a query that selects the columns to show; two statements at most.

    Args:
        select: makes the query; called anew for each look.
    """

    def find() -> Found:
        query = select()
        count = query.count()
        if not count:
            return Found()
        return Found(count, tuple(query.limit(EXAMPLES).dicts()))

    return find


def each(candidates: Iterable[tuple[Example, str | None]]) -> Found:
    """Find among rows that only Python can judge, as they come.

    Args:
        candidates: the columns to show, and what is wrong or None.
    """
    count = 0
    examples: list[Example] = []
    for example, reason in candidates:
        if reason is None:
            continue
        count += 1
        if len(examples) < EXAMPLES:
            examples.append({**example, "reason": reason})
    return Found(count, tuple(examples))


def fix_by(does: str, statement: Callable[[], Any]) -> Fix:
    """Make a fix of one statement.

    Args:
        does: see `Fix`.
        statement: makes an update or delete with the condition of the rule.
    """

    @repeat_on_deadlock
    def run() -> int:
        with change():
            return int(statement().execute())

    return Fix(does, run)


def orphaned(key: Any) -> Any:
    """Condition: the foreign key refers to no row."""
    target = key.rel_model.alias()
    return ~pw.fn.EXISTS(target.select(target.id).where(target.id == key))


def matches(column: Any, bracket: str) -> Any:
    """Condition: the text has a character of a set.

    Args:
        column: the text.
        bracket: the set as in ``[a-z]``, which all databases read alike.
    """
    database = database_proxy.obj
    if isinstance(database, pw.SqliteDatabase):
        return pw.Expression(column, "GLOB", f"*{bracket}*")
    if isinstance(database, pw.PostgresqlDatabase):
        return pw.Expression(column, "~", bracket)
    # Where names are compared byte by byte, MariaDB would look at bytes instead of characters.
    text: Any = pw.fn.CONVERT(pw.NodeList((column, pw.SQL("USING utf8mb4"))))
    text = pw.NodeList((text, pw.SQL("COLLATE utf8mb4_general_ci")))
    return pw.Expression(text, "REGEXP", bracket)


def length(column: Any) -> Any:
    """Characters of a text; ``LENGTH`` counts bytes on MySQL."""
    if isinstance(database_proxy.obj, pw.MySQLDatabase):
        return pw.fn.CHAR_LENGTH(column)
    return pw.fn.LENGTH(column)
