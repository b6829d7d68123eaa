"""The list of lines to break follows the sources, and names tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

import mutants

TESTS = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda m: f"{m.invariant}-{m.text[:30]}")
def test_the_line_is_there_once_and_the_test_exists(mutant: mutants.Mutant) -> None:
    assert mutant not in mutants.missing()
    assert mutant.broken != mutant.text
    file, _, name = mutant.test.partition("::")
    assert f"def {name}" in (TESTS / file).read_text(encoding="utf-8")


def test_eight_invariants_at_least_are_tried() -> None:
    assert len({mutant.invariant for mutant in mutants.MUTANTS}) >= 8


def test_a_text_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    gone = mutants.MUTANTS[0]._replace(text="no such line anywhere")
    monkeypatch.setattr(mutants, "MUTANTS", (gone,))
    assert mutants.main([]) == 1
