"""``alpenhorn file find``."""

from __future__ import annotations

import json
from itertools import chain, combinations
from typing import Any

import pytest

STATES = {
    "healthy": {"YY": "Healthy", "YM": "Removable"},
    "suspect": {"MY": "Suspect", "MM": "Suspect"},
    "corrupt": {"XY": "Corrupt", "XM": "Corrupt"},
    "missing": {"NY": "Missing"},
}
SUBSETS = list(chain.from_iterable(combinations(STATES, n) for n in range(len(STATES) + 1)))


def found(run: Any, *args: object) -> list[tuple[str, ...]]:
    lines = run("file", "find", "--json", *args).stdout.splitlines()
    return [tuple(json.loads(line).values()) for line in lines]


def test_table(make: Any, run: Any) -> None:
    n1, n2 = make.node("N1"), make.node("N2")
    make.copy("acq/f1", n1, "Y", "M")
    make.copy("acq/f0", n2)
    make.copy("acq/f0", n1)
    result = run("file", "find")
    assert (result.stdout, result.code) == (
        """\
File    Node    State
------  ------  ---------
acq/f0  N1      Healthy
acq/f0  N2      Healthy
acq/f1  N1      Removable
""",
        0,
    )


@pytest.mark.parametrize("states", SUBSETS)
def test_states(make: Any, run: Any, states: tuple[str, ...]) -> None:
    """Exactly the copies of the specification; released ones never."""
    node = make.node("n")
    for pair in (has + wants for has in "YMXN" for wants in "YMN"):
        make.copy(f"a/{pair}", node, *pair)
    wanted = {}
    for state in states or ("healthy",):
        wanted |= STATES[state]
    rows = found(run, *(f"--{state}" for state in states))
    assert rows == sorted((f"a/{pair}", "n", word) for pair, word in wanted.items())


def test_places_are_joined_by_or_and_each_copy_appears_once(make: Any, run: Any) -> None:
    n1, n2, n3 = make.node("n1", "g"), make.node("n2", "g"), make.node("n3")
    for node in (n1, n2, n3):
        make.copy("a/f", node)
        make.copy("b/f", node)
    assert [row[1] for row in found(run, "--acq=a")] == ["n1", "n2", "n3"]
    assert [row[1] for row in found(run, "--acq=a", "--node=n1", "--group=g")] == ["n1", "n2"]
    assert [row[:2] for row in found(run, "--node=n3", "--acq=a", "--acq=b")] == [
        ("a/f", "n3"),
        ("b/f", "n3"),
    ]
    assert [row[1] for row in found(run, "--acq=b", "--node=n3", "--group=g")] == ["n1", "n2", "n3"]


def test_order_is_by_path_component(make: Any, run: Any) -> None:
    node = make.node("n")
    for path in ("a-b/x", "a/b/c", "a/z", "a.b/x", "a/b/a", "B/x"):
        make.copy(path, node)
    order = ["B/x", "a/b/a", "a/b/c", "a/z", "a-b/x", "a.b/x"]
    assert [row[0] for row in found(run)] == order


def test_no_match(make: Any, run: Any) -> None:
    make.node("n")
    assert run("file", "find", "--node", "n").stdout == "No match\n"
    assert run("file", "find", "--json").stdout == ""


@pytest.mark.parametrize("option", ["--acq", "--node", "--group"])
def test_unknown_names(make: Any, run: Any, option: str) -> None:
    make.copy("a/f", make.node("n"))
    result = run("file", "find", option, "nowhere")
    assert (result.stdout, result.code) == ("", 1)
    assert "o such" in result.stderr and '"nowhere"' in result.stderr


def test_names_cannot_act_on_the_terminal(make: Any, run: Any) -> None:
    make.copy("a/tab\there", make.node("n"))
    assert run("file", "find").stdout.splitlines()[2] == "a/tab\\there  n       Healthy"
