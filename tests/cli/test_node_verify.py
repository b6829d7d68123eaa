"""``alpenhorn node verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ALL_STATES = [has + wants for has in "YMXN" for wants in "YMN"]
ALL_VERIFIED = ["YY", "YM", "XY", "XM", "NY"]


@pytest.fixture
def node(make: Any) -> Any:
    """A node with a copy in each of the twelve states."""
    node = make.node("n", root="/data")
    for state in ALL_STATES:
        make.copy(f"a/{state}", node, *state)
    other = make.node("other")
    make.copy("a/XY", other, *"XY")
    return node


@pytest.mark.parametrize(
    ("args", "changed"),
    [
        ("", ["XY", "XM", "NY"]),
        ("--corrupt --missing", ["XY", "XM", "NY"]),
        ("--corrupt", ["XY", "XM"]),
        ("--missing", ["NY"]),
        ("--healthy", ["YY", "YM"]),
        ("--corrupt --healthy", ["YY", "YM", "XY", "XM"]),
        ("--healthy --missing", ["YY", "YM", "NY"]),
        ("--all", ALL_VERIFIED),
        ("-a", ALL_VERIFIED),
        ("--corrupt --healthy --missing", ALL_VERIFIED),
    ],
)
def test_which_copies_are_verified(
    make: Any, run: Any, node: Any, args: str, changed: list[str]
) -> None:
    result = run("node", "verify", "n", *args.split(), "--force")
    assert result.stdout.endswith(f"Updated {len(changed)} file{'s'[: len(changed) > 1]}.\n")
    assert make.states(node) == {f"a/{s}": f"M{s[1]}" if s in changed else s for s in ALL_STATES}


@pytest.mark.parametrize(
    ("args", "letter", "word"),
    [
        ("", "X", "corrupt"),
        ("--all", "X", "corrupt"),
        ("--corrupt", "X", "corrupt"),
        ("--healthy", "Y", "healthy"),
        ("--missing", "N", "missing"),
    ],
)
def test_cancel(make: Any, run: Any, node: Any, args: str, letter: str, word: str) -> None:
    result = run("node", "verify", "n", "--cancel", *args.split(), input="y\n")
    assert result.stdout == (
        f"Would force status of 2 files (8 B) to {word}.\n\nContinue? [y/N]: \n"
        f"Forcing status of 2 files (8 B) to {word}.\nUpdated 2 files.\n"
    )
    changed = {"MY": f"{letter}Y", "MM": f"{letter}M"}
    assert make.states(node) == {f"a/{s}": changed.get(s, s) for s in ALL_STATES}


def test_verify_as_in_the_demo(make: Any, run: Any) -> None:
    """Transcript 26."""
    node = make.node("demo_storage1")
    for number, size in enumerate((12, 12, 12, 14, 52)):
        make.file(f"2025/02/21/{number}", size_b=size)
        make.copy(f"2025/02/21/{number}", node)
    result = run("node", "verify", "--all", "--acq=2025/02/21", "demo_storage1", input="y\n")
    assert result.stdout == (
        "Would request verification of 5 files (102 B).\n\nContinue? [y/N]: \n"
        "Requesting verification of 5 files (102 B).\nUpdated 5 files.\n"
    )
    assert set(make.states(node).values()) == {"MY"}


def test_sizes(make: Any, run: Any) -> None:
    """The sum of the known sizes; unknown if none is known."""
    node = make.node("n")
    make.file("a/1", size_b=None)
    make.copy("a/1", node)
    assert "1 file (unknown size)." in run("node", "verify", "n", "-a", "--check").stdout
    make.copy("a/2", node)
    assert "2 files (4 B)." in run("node", "verify", "n", "-a", "--check").stdout


def test_limits(make: Any, run: Any, node: Any, tmp_path: Path) -> None:
    make.copy("b/f", node, "X")
    listing = tmp_path / "list"
    listing.write_text("/data/a/XY\nb/f\n")
    args = ["node", "verify", "n", "--acq=b", "-F", listing, "--force"]
    run(*args)
    states = make.states(node)
    assert (states["b/f"], states["a/XY"]) == ("MY", "XY")


def test_nothing_selected(make: Any, run: Any) -> None:
    make.copy("a/f", make.node("n"))
    assert run("node", "verify", "n").stdout == "No matching files.\n"
    assert run("node", "verify", "n", "--cancel").stdout == "No matching files.\n"
    assert run("node", "verify", "n", "-a", "-F-", "--force").stdout == "No matching files.\n"


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_without_consent_nothing_is_written(run: Any, node: Any, dump: Any, answer: str) -> None:
    before = dump()
    assert run("node", "verify", "n", "-a", input=answer).code == (0 if answer else 1)
    assert run("node", "verify", "n", "-a", "--check", input="y\n").code == 0
    assert dump() == before


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("--check --force", 2, "cannot use both --check and --force"),
        ("--cancel --corrupt --missing", 2, "cannot use both --corrupt and --missing"),
        ("--cancel --healthy --missing", 2, "cannot use both --healthy and --missing"),
        ("-c", 2, "No such option"),
        ("-x", 2, "No such option"),
        ("-F /no/such/list", 2, "does not exist"),
        ("--acq=x", 1, "No such acquisition"),
    ],
)
def test_errors(run: Any, node: Any, dump: Any, args: str, code: int, phrase: str) -> None:
    before = dump()
    result = run("node", "verify", "n", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == before


def test_unknown_node(index: Any, run: Any) -> None:
    assert "No such storage node" in run("node", "verify", "x").stderr
