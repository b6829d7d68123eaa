"""Which mover is tried, and when the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome
from alpenhorn.transfer.choose import move, movers_for
from alpenhorn.transfer.copy import CopyMover


class Refusing:
    """Hands on item 1, fails for item 2, stages the rest."""

    name = "refusing"

    def move(
        self, items: Sequence[Item], source: Endpoint, staging: Path, limits: Limits
    ) -> Iterator[Outcome]:
        for item in items:
            if item.key == 1:
                yield Outcome(1, FailureClass.DESTINATION, "cannot", fallback=True)
            elif item.key == 2:
                yield Outcome(2, FailureClass.SOURCE, "missing")
            else:
                yield Outcome(item.key)


@pytest.mark.parametrize(
    ("local", "may_link", "names"),
    [
        (False, False, ["rsync"]),
        (False, True, ["rsync"]),
        (True, True, ["link", "internal"]),
        (True, False, ["internal"]),
    ],
)
def test_order_of_attempts(local: bool, may_link: bool, names: list[str]) -> None:
    assert [mover.name for mover in movers_for(local, may_link)] == names


def test_only_what_a_mover_hands_on_goes_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "staging").mkdir()
    items = []
    for key in range(4):
        (tmp_path / f"src/{key}").write_bytes(b"x")
        items.append(Item(key, str(key), f"{tmp_path}/src/{key}"))
    source = Endpoint(True, None, str(tmp_path / "src"))
    outcomes = list(move([Refusing(), CopyMover()], items, source, tmp_path / "staging", Limits()))
    assert {o.key: (o.method, o.failure) for o in outcomes} == {
        0: ("refusing", None),
        1: ("internal", None),
        2: ("refusing", FailureClass.SOURCE),
        3: ("refusing", None),
    }
    assert len(outcomes) == 4
    assert [p.name for p in (tmp_path / "staging").iterdir()] == ["1"]


def test_the_last_movers_refusal_is_the_outcome(tmp_path: Path) -> None:
    items = [Item(1, "x", "/x")]
    [outcome] = move([Refusing()], items, Endpoint(True, None, "/"), tmp_path, Limits())
    assert outcome.failure is FailureClass.DESTINATION


def test_a_missing_rsync_is_said_plainly_and_blames_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    items = [Item(1, "x", "/x"), Item(2, "y", "/y")]
    source = Endpoint(False, "user@host", "/")
    outcomes = list(move(movers_for(False, False), items, source, tmp_path, Limits()))
    assert [o.failure for o in outcomes] == [FailureClass.DESTINATION] * 2
    assert "rsync is not installed here: install it" in outcomes[0].message
