"""``alpenhorn node`` modify, rename, activate, deactivate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alpenhorn.db import StorageNode
from alpenhorn.db.operations import Doorbell

FULL = {
    "root": "/r",
    "host": "h1",
    "username": "u",
    "address": "a",
    "io_class": "C",
    "notes": "text",
    "io_config": '{"p":1}',
    "auto_import": True,
    "auto_verify": 5,
    "storage_type": "A",
    "max_total_gb": 7.5,
    "min_avail_gb": 2.5,
    "avail_gb": 1.0,
    "active": True,
}


def row(name: str = "n") -> dict[str, Any]:
    return dict(StorageNode.get(name=name).__data__)


# modify


@pytest.mark.parametrize(
    "args",
    [
        "",
        "--notes=text --host=h1 --root=/r --username=u --address=a --class=C --group=g",
        "--archive --auto-import --auto-verify=5 --max-total=7.5 --min-avail=2.5",
        '--io-config={"p":1}',
        "--io-var=p=1",
    ],
)
def test_modify_without_a_change(make: Any, run: Any, dump: Any, args: str) -> None:
    make.node("n", group="g", **FULL)
    before = dump()
    result = run("node", "modify", "n", *args.split())
    assert (result.stdout, result.code) == ("No change.\n", 0)
    assert dump() == before


def test_modify_everything(make: Any, run: Any) -> None:
    make.node("n", group="g", **FULL)
    group = make.group("g2")
    before = row()
    result = run(
        *("node", "modify", "n", "--group=g2", "--root=/R", "--host=h2", "--username=U"),
        *("--address=A", "--class=D", "--notes=N", "--io-var=q=2", "--transport"),
        *("--no-auto-import", "--auto-verify=0", "--max-total=1", "--min-avail=0"),
    )
    assert result.stdout == "Node updated.\n"
    changed = {
        "group": group.id,
        "root": "/R",
        "host": "h2",
        "username": "U",
        "address": "A",
        "io_class": "D",
        "notes": "N",
        "io_config": '{"p": 1, "q": 2}',
        "storage_type": "T",
        "auto_import": False,
        "auto_verify": 0,
        "max_total_gb": 1,
        "min_avail_gb": 0,
    }
    assert row() == {**before, **changed}
    assert {bell.host for bell in Doorbell.select()} == {"h1", "h2"}


def test_modify_clears(make: Any, run: Any) -> None:
    make.node("n", **FULL)
    before = row()
    texts = ("root", "host", "username", "address", "class", "notes", "io-config")
    run("node", "modify", "n", *(f"--{text}=" for text in texts), "--no-max-total")
    cleared = ("root", "host", "username", "address", "io_class", "notes", "io_config")
    assert row() == {**before, **dict.fromkeys(cleared), "max_total_gb": None}


@pytest.mark.parametrize(
    ("args", "column", "value"),
    [
        ("--archive", "storage_type", "A"),
        ("--auto-import", "auto_import", True),
        ("--no-auto-import --auto-import", "auto_import", True),
        ("--auto-verify=9", "auto_verify", 9),
        ("--min-avail=1.5", "min_avail_gb", 1.5),
        ("--io-var q=5", "io_config", '{"q": 5}'),
    ],
)
def test_modify_one_column(make: Any, run: Any, args: str, column: str, value: object) -> None:
    make.node("n")
    before = row()
    assert run("node", "modify", "n", *args.split()).stdout == "Node updated.\n"
    assert row() == {**before, column: value}


def test_modify_with_an_invalid_stored_config(make: Any, run: Any) -> None:
    """D5."""
    make.node("n", io_config="{bad")
    assert run("node", "modify", "n", "--notes=x").stdout == "Node updated.\n"
    result = run("node", "modify", "n", "--io-var=p=4")
    assert result.code == 1
    assert "invalid I/O config in the database" in result.stderr
    assert row()["io_config"] == "{bad"
    run("node", "modify", "n", "--io-config={}", "--io-var=p=4")
    assert json.loads(row()["io_config"]) == {"p": 4}


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("n --max-total=1 --no-max-total", 2, "cannot use both --max-total and --no-max-total"),
        ("n --max-total=0", 2, "--max-total"),
        ("n --auto-verify=-1", 2, "--auto-verify"),
        ("n --min-avail=-0.1", 2, "--min-avail"),
        ("n --archive --transport", 2, "cannot use both --archive and --transport"),
        ("n --active", 2, "No such option"),
        ("n --notes=x --group=unknown", 1, "No such storage group"),
        ("n --notes=x --io-config=[]", 1, "not a JSON object"),
        ("n --root=" + "r" * 256, 1, "root is too long"),
        ("unknown --notes=x", 1, "No such storage node"),
    ],
)
def test_modify_errors(make: Any, run: Any, dump: Any, args: str, code: int, phrase: str) -> None:
    make.node("n", **FULL)
    before = dump()
    result = run("node", "modify", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == before


# rename


def test_rename(make: Any, run: Any) -> None:
    """D6."""
    node = make.node("old")
    result = run("node", "rename", "old", "new")
    assert all(word in result.stdout for word in ('"old"', '"new"', "renamed"))
    assert row("new")["id"] == node.id
    assert row("new")["group"] == node.group_id


def test_rename_that_fails_or_does_nothing(make: Any, run: Any, dump: Any) -> None:
    make.node("n")
    make.node("n2")
    before = dump()
    assert run("node", "rename", "x", "x").stdout == "No change.\n"
    assert run("node", "rename", "x", "n2").stderr == 'Error: Node "n2" already exists.\n'
    assert "No such storage node" in run("node", "rename", "x", "y").stderr
    assert run("node", "rename", "n", "a\x1b").code == 1
    assert dump() == before


# activate and deactivate


def test_activate(make: Any, run: Any) -> None:
    make.node("demo_storage1", active=False, username="old", notes="kept")
    before = row("demo_storage1")
    result = run(
        *("node", "activate", "demo_storage1", "--host=alpenhost1", "--username="),
        *("--address=alpenhost1", "--root=/mnt/transport"),
    )
    assert (result.stdout, result.code) == ('Storage node "demo_storage1" activated.\n', 0)
    changed = {"host": "alpenhost1", "address": "alpenhost1", "root": "/mnt/transport"}
    assert row("demo_storage1") == {**before, **changed, "username": None, "active": True}
    assert "alpenhost1" in {bell.host for bell in Doorbell.select()}


def test_activate_an_active_node_changes_nothing(make: Any, run: Any, dump: Any) -> None:
    make.node("n")
    before = dump()
    result = run("node", "activate", "n", "--host=elsewhere")
    assert "already active" in result.stdout
    assert (result.code, dump()) == (0, before)


def test_activate_with_an_address_that_is_an_option(make: Any, run: Any, dump: Any) -> None:
    make.node("n", active=False)
    before = dump()
    result = run("node", "activate", "n", "--address=-oProxyCommand=x")
    assert "invalid address" in result.stderr
    assert (result.code, dump()) == (1, before)


def test_deactivate(make: Any, run: Any, dump: Any) -> None:
    make.node("n", **FULL)
    before = row()
    result = run("node", "deactivate", "n")
    assert result.stdout == 'Storage node "n" deactivated.\n'
    assert row() == {**before, "active": False}
    again = dump()
    assert "already inactive" in run("node", "deactivate", "n").stdout
    assert dump() == again


@pytest.mark.parametrize("verb", ["activate", "deactivate"])
def test_unknown_and_missing_node(index: Any, run: Any, verb: str) -> None:
    result = run("node", verb, "x")
    assert (result.code, "No such storage node" in result.stderr) == (1, True)
    assert run("node", verb).code == 2
