"""How much a pass hands over at most."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.daemon.jobs.lookahead import LOOKAHEAD, MOST_HELD, a_few_batches, is_enough
from alpenhorn.scheduler import Held


@pytest.mark.parametrize(
    ("workers", "sizes", "count"),
    [(0, [100] * 90, 20), (4, [100] * 90, 80), (0, [5000, 1], 1), (0, [None] * 90, 90), (0, [], 0)],
)
def test_a_pass_hands_over_two_batches_for_each_worker_and_one_file_at_least(
    settings: dict[str, Any], workers: int, sizes: list[int | None], count: int
) -> None:
    settings |= {"num_workers": workers, "batch_bytes": 1000}
    assert a_few_batches(sizes, lambda size: size) == sizes[:count]


@pytest.mark.parametrize(
    ("count", "size", "queued", "enough"),
    [
        (0, 0, False, False),
        (LOOKAHEAD - 1, 0, True, False),
        (LOOKAHEAD, 0, True, True),
        (LOOKAHEAD, 0, False, False),
        (MOST_HELD, 0, False, True),
        (1, 3999, True, False),
        (1, 4000, True, True),
        (1, 10**15, False, False),
    ],
)
def test_more_is_looked_for_while_no_worker_would_be_without_work(
    settings: dict[str, Any], count: int, size: int, queued: bool, enough: bool
) -> None:
    settings |= {"num_workers": 2, "batch_bytes": 1000}
    assert is_enough(Held(dict.fromkeys(range(count), size)), queued) is enough
