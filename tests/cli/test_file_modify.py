"""``alpenhorn file modify``."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import ArchiveFile, StorageNode
from alpenhorn.db.operations import Doorbell

OLD = "0" * 32
NEW = "0123456789abcdef0123456789ABCDEF"
AFTER = {"YY": "MY", "XY": "MY", "MY": "MY", "NY": "NY", "YM": "MM", "XN": "XN"}


def known() -> tuple[str, int]:
    file = ArchiveFile.get(name="f")
    return file.md5sum, file.size_b


@pytest.fixture
def copies(make: Any) -> Any:
    """Copies of a/f in several states, and one of another file; returns a/f's states."""
    nodes = {pair: make.node(f"n{pair}", host=f"host{pair}") for pair in AFTER}
    for pair, node in nodes.items():
        make.copy("a/f", node, *pair)
    make.copy("a/other", nodes["YY"])
    return lambda: {pair: make.states(node)["a/f"] for pair, node in nodes.items()}


@pytest.mark.parametrize(
    ("args", "result"),
    [
        (["--md5", NEW], (NEW.lower(), 4)),
        (["--size=5"], (OLD, 5)),
        (["--size=0"], (OLD, 0)),
        (["--size=5", "--md5", NEW], (NEW.lower(), 5)),
        (["--size=4", "--md5", NEW], (NEW.lower(), 4)),
    ],
)
def test_modify(copies: Any, make: Any, run: Any, args: list[str], result: Any) -> None:
    """D15: what is not given is left alone. Copies that are there will be checked."""
    shown = run("file", "modify", "a/f", *args)
    assert (shown.stdout, shown.code) == ("File updated. 4 copies will be re-verified.\n", 0)
    assert known() == result
    assert copies() == AFTER
    assert {bell.host for bell in Doorbell.select()} == {"hostYY", "hostXY", "hostMY", "hostYM"}


def test_other_files_are_left_alone(copies: Any, make: Any, run: Any, dump: Any) -> None:
    before = ArchiveFile.get(name="other").__data__
    run("file", "modify", "a/f", "--size=9")
    assert ArchiveFile.get(name="other").__data__ == before
    assert make.states(StorageNode.get(name="nYY"))["a/other"] == "YY"


def test_no_reverify(copies: Any, run: Any) -> None:
    result = run("file", "modify", "a/f", "--size=9", "--no-reverify")
    assert result.stdout.startswith("File updated") and "skipped" in result.stdout
    assert copies() == {pair: pair for pair in AFTER}
    assert known() == (OLD, 9)


def test_one_copy_and_none(make: Any, run: Any) -> None:
    make.file("a/f")
    none = run("file", "modify", "a/f", "--size=9").stdout
    assert none.startswith("File updated") and "No copies need" in none
    make.copy("a/f", make.node("n"))
    assert run("file", "modify", "a/f", "--size=8").stdout == (
        "File updated. 1 copy will be re-verified.\n"
    )


@pytest.mark.parametrize("stored", [NEW, NEW.lower()])
def test_no_change(copies: Any, run: Any, dump: Any, stored: str) -> None:
    """Hashes are compared without regard to case; no copy is touched."""
    ArchiveFile.update(md5sum=stored).execute()
    tables = dump()
    result = run("file", "modify", "a/f", "--size=4", "--md5", NEW.upper())
    assert (result.stdout, result.code) == ("No change.\n", 0)
    assert dump() == tables


def test_values_that_were_unknown(make: Any, run: Any) -> None:
    make.file("a/f", size_b=None)
    ArchiveFile.update(md5sum=None).execute()
    run("file", "modify", "a/f", "--size=0", "--md5", NEW)
    assert known() == (NEW.lower(), 0)


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("a/f", 2, "missing --md5 or --size"),
        ("a/f --no-reverify", 2, "missing --md5 or --size"),
        ("a/f --size=x", 2, "x"),
        ("--size=1", 2, "FILE"),
        ("a/f --size=-1", 1, "negative file size"),
        (f"a/f --size={2**63}", 1, "too large"),
        ("a/f --md5=", 1, "invalid hash"),
        (f"a/f --md5={NEW[1:]}", 1, "invalid hash"),
        (f"a/f --md5={NEW}0 --size=9", 1, "invalid hash"),
        (f"a/f --md5={NEW} --size=-9", 1, "negative file size"),
        ("a/x --size=1", 1, "No such file"),
        ("/a/f --size=1", 1, "No such file"),
    ],
)
def test_errors(copies: Any, run: Any, dump: Any, args: str, code: int, phrase: str) -> None:
    tables = dump()
    result = run("file", "modify", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == tables
