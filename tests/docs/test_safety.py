"""The page about safety names a test for every invariant, and these tests exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/safety.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| .*? \| (.*) \|$", re.MULTILINE)


def test_every_invariant_has_a_test_that_exists() -> None:
    sources = "".join(path.read_text() for path in ROOT.glob("tests/unit/db/test_invariants_*.py"))
    real = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    rows = {int(number): re.findall(r"`(\w+)`", names) for number, names in ROW.findall(PAGE)}
    assert sorted(rows) == list(range(1, 31))
    for number, names in rows.items():
        assert names, number
        assert set(names) <= real, number
    assert {name for names in rows.values() for name in names} == real


def test_the_files_that_the_page_names_exist() -> None:
    for path in re.findall(r"`(tests/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path
