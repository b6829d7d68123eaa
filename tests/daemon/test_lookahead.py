"""How much a pass hands over at most."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.daemon.jobs.lookahead import a_few_batches


@pytest.mark.parametrize(
    ("workers", "sizes", "count"),
    [(0, [100] * 90, 20), (4, [100] * 90, 80), (0, [5000, 1], 1), (0, [None] * 90, 90), (0, [], 0)],
)
def test_a_pass_hands_over_two_batches_for_each_worker_and_one_file_at_least(
    settings: dict[str, Any], workers: int, sizes: list[int | None], count: int
) -> None:
    settings |= {"num_workers": workers, "batch_bytes": 1000}
    assert a_few_batches(sizes, lambda size: size) == sizes[:count]
