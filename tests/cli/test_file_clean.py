"""``alpenhorn file clean``."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import ArchiveFileCopy
from alpenhorn.db.operations import Doorbell

ALL_PAIRS = [has + wants for has in "YMXN" for wants in "YMN"]


def test_now(make: Any, run: Any) -> None:
    """Transcript 31; nothing but `wants_file` of that copy changes, and the daemon is woken."""
    node, other = make.node("demo_storage1"), make.node("other", host="there")
    made = make.copy("2025/02/21/meta.txt", node, ready=True, size_b=4096)
    made = ArchiveFileCopy.get_by_id(made.id)
    make.copy("2025/02/21/meta.txt", other)
    make.copy("2025/02/21/more", node)
    result = run("file", "clean", "--now", "--node=demo_storage1", "2025/02/21/meta.txt")
    assert (result.stdout, result.stderr, result.code) == (
        'Released "2025/02/21/meta.txt" for immediate removal on Node "demo_storage1".\n',
        "",
        0,
    )
    assert make.states(node) == {"2025/02/21/meta.txt": "YN", "2025/02/21/more": "YY"}
    assert make.states(other) == {"2025/02/21/meta.txt": "YY"}
    now = ArchiveFileCopy.get_by_id(made.id)
    assert (now.ready, now.size_b, now.last_update) == (True, 4096, made.last_update)
    assert [bell.host for bell in Doorbell.select()] == ["here"]


@pytest.mark.parametrize("before", ALL_PAIRS)
@pytest.mark.parametrize(("option", "goal"), [("", "M"), ("--now", "N"), ("--cancel", "Y")])
def test_every_state(make: Any, run: Any, before: str, option: str, goal: str) -> None:
    """Plain and --now change any copy; --cancel only those that are there (D17). D16."""
    node = make.node("n")
    make.copy("a/f", node, *before)
    result = run("file", "clean", "a/f", "--node=n", *option.split())
    changes = before[1] != goal and not (option == "--cancel" and before[0] == "N")
    assert make.states(node) == {"a/f": before[0] + goal if changes else before}
    assert (result.stdout == "No change.\n") is not changes
    assert result.code == 0


def test_messages(make: Any, run: Any) -> None:
    make.copy("a/f", make.node("n"))
    assert run("file", "clean", "a//f", "--node=n").stdout == (
        'Marked "a//f" for discretionary cleaning on Node "n".\n'
    )
    assert run("file", "clean", "a/f", "--node=n", "-x").stdout == (
        'Cancelled cleaning of "a/f" on Node "n".\n'
    )
    assert run("file", "clean", "a/f", "--node=n", "-n").stdout.startswith('Released "a/f"')


def test_cancel_everywhere(make: Any, run: Any) -> None:
    nodes = [make.node(f"n{number}", storage_type="A", host=f"h{number}") for number in range(4)]
    for node, pair in zip(nodes, ["YM", "XN", "YY", "NN"], strict=True):
        make.copy("a/f", node, *pair)
        make.copy("a/other", node, "Y", "N")
    result = run("file", "clean", "a/f", "--cancel")
    assert result.stdout == 'Cancelled 2 cleaning requests for "a/f".\n'
    assert [make.states(node)["a/f"] for node in nodes] == ["YY", "XY", "YY", "NN"]
    assert {make.states(node)["a/other"] for node in nodes} == {"YN"}
    assert {bell.host for bell in Doorbell.select()} == {"h0", "h1"}
    assert run("file", "clean", "a/f", "--cancel").stdout == "No change.\n"


@pytest.mark.parametrize("option", ["", "--now", "--cancel"])
def test_no_record(make: Any, run: Any, dump: Any, option: str) -> None:
    make.node("n")
    make.copy("a/f", make.node("other"), "Y", "M")
    tables = dump()
    result = run("file", "clean", "a/f", "--node=n", *option.split())
    assert (result.stdout, result.code) == ("No change.\n", 0)
    assert dump() == tables


@pytest.mark.parametrize("option", ["", "--now"])
def test_an_archive_node_is_refused(make: Any, run: Any, dump: Any, option: str) -> None:
    node = make.node("arch", storage_type="A")
    make.copy("a/f", node)
    tables = dump()
    result = run("file", "clean", "a/f", "--node=arch", *option.split())
    assert result.stdout.startswith("Not done:")
    assert '"arch"' in result.stdout and "archive node" in result.stdout
    assert result.code == 0
    assert dump() == tables
    forced = run("file", "clean", "a/f", "--node=arch", "--archive-ok", *option.split())
    first, second = forced.stdout.splitlines()
    assert '"arch"' in first and "forced" in first
    assert '"a/f"' in second
    assert make.states(node)["a/f"] in ("YM", "YN")


def test_cancelling_on_an_archive_node(make: Any, run: Any) -> None:
    node = make.node("arch", storage_type="A")
    make.copy("a/f", node, "Y", "N")
    result = run("file", "clean", "a/f", "--node=arch", "--cancel", "--archive-ok")
    assert result.stdout == 'Cancelled cleaning of "a/f" on Node "arch".\n'
    assert make.states(node) == {"a/f": "YY"}


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("a/f", 2, "missing --node or --cancel"),
        ("a/f --now", 2, "missing --node or --cancel"),
        ("a/f --node=n --cancel --now", 2, "cannot use both --cancel and --now"),
        ("--node=n", 2, "FILE"),
        ("a/x --node=n", 1, "No such file"),
        ("a/x --cancel", 1, "No such file"),
        ("f --node=n", 1, "No such file"),
        ("a/f --node=x", 1, "No such storage node"),
        ("a/f --cancel --node=x", 1, "No such storage node"),
    ],
)
def test_errors(make: Any, run: Any, dump: Any, args: str, code: int, phrase: str) -> None:
    make.copy("a/f", make.node("n"), "Y", "M")
    tables = dump()
    result = run("file", "clean", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == tables
