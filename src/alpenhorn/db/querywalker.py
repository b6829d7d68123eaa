"""Going round and round the rows of a table, a few at a time (spec: daemon.md §12, §23)."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any, Generic, TypeVar

import peewee as pw

_M = TypeVar("_M", bound=pw.Model)


class QueryWalker(Generic[_M]):
    """An endless walk over the rows that meet some conditions, in order of their primary key.

    It starts at a random place, so that restarts do not favour the oldest rows, and goes on at the
    first row after the last. Only the key of the last row is remembered: rows may come and go.
    Not safe for use by several threads.

    Args:
        model: the table; its primary key is an integer.
        *expressions: conditions, all of which must hold.
        choose: picks a key between two, inclusive.

    Raises:
        peewee.DoesNotExist: no row meets the conditions.
    """

    def __init__(
        self,
        model: type[_M],
        *expressions: Any,
        choose: Callable[[int, int], int] = random.randint,
    ) -> None:
        self._model: Any = model
        self._conditions = expressions
        self._key: Any = model._meta.primary_key
        query: Any = self._model.select(pw.fn.MIN(self._key), pw.fn.MAX(self._key))
        if expressions:
            query = query.where(*expressions)
        low, high = query.tuples().get()
        if low is None:
            raise self._nothing()
        self._last = choose(low, high) - 1

    def get(self, n: int = 1) -> list[_M]:
        """Return the next `n` rows; some repeatedly, if there are fewer than `n`.

        Raises:
            ValueError: `n` is below 1.
            peewee.DoesNotExist: no row meets the conditions any longer.
        """
        if n < 1:
            raise ValueError("n must be positive")
        rows = self._fetch(n, self._key > self._last)
        if len(rows) < n:
            rows += self._fetch(n - len(rows), self._key <= self._last)
        if not rows:
            raise self._nothing()
        found = list(islice(cycle(rows), n))
        self._last = found[-1].get_id()
        return found

    def _fetch(self, limit: int, where: Any) -> list[_M]:
        query: Any = self._model.select().where(where, *self._conditions)
        return list(query.order_by(self._key).limit(limit))

    def _nothing(self) -> pw.DoesNotExist:
        return self._model.DoesNotExist(f"no row of {self._model.__name__}")
