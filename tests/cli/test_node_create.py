"""``alpenhorn node create``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alpenhorn.db import ArchiveFileImportRequest, StorageGroup, StorageNode
from alpenhorn.db.operations import Doorbell

DEFAULTS = {
    "root": None,
    "host": None,
    "username": None,
    "address": None,
    "io_class": None,
    "active": False,
    "auto_import": False,
    "auto_verify": 0,
    "storage_type": "F",
    "max_total_gb": None,
    "min_avail_gb": 0,
    "avail_gb": None,
    "avail_gb_last_checked": None,
    "notes": None,
    "io_config": None,
}


def row(name: str = "n") -> dict[str, Any]:
    stored = dict(StorageNode.get(name=name).__data__)
    return {key: stored[key] for key in DEFAULTS}


def test_create_as_in_the_demo(index: Any, run: Any) -> None:
    """Transcript 16."""
    args = ("--create-group", "--root=/data", "--host=alpenhost2")
    result = run("node", "create", "demo_storage2", *args)
    assert (result.stdout, result.code) == (
        'Created storage group "demo_storage2".\nCreated storage node "demo_storage2".\n',
        0,
    )
    assert row("demo_storage2") == {**DEFAULTS, "root": "/data", "host": "alpenhost2"}
    group = StorageGroup.get(name="demo_storage2")
    assert (group.io_class, group.notes, group.io_config) == (None, None, None)
    assert StorageNode.get(name="demo_storage2").group_id == group.id


def test_defaults_in_an_existing_group(make: Any, run: Any) -> None:
    group = make.group("g")
    result = run("node", "create", "--group", "g", "n")
    assert result.stdout == 'Created storage node "n".\n'
    assert row() == DEFAULTS
    assert StorageNode.get(name="n").group_id == group.id
    assert ArchiveFileImportRequest.select().count() == 0


def test_everything_given(make: Any, run: Any) -> None:
    make.group("g")
    run(
        *("node", "create", "n", "--group=g", "--root=/r", "--host=h", "--username=u"),
        *("--address=a.b", "-i", "Polling", "--notes=some text", "--io-var=x=1", "--transport"),
        *("--auto-import", "--auto-verify=3", "--max-total=10.5", "--min-avail=.25"),
        *("--activate", "--init"),
    )
    assert row() == {
        **DEFAULTS,
        "root": "/r",
        "host": "h",
        "username": "u",
        "address": "a.b",
        "io_class": "Polling",
        "notes": "some text",
        "io_config": '{"x": 1}',
        "storage_type": "T",
        "auto_import": True,
        "auto_verify": 3,
        "max_total_gb": 10.5,
        "min_avail_gb": 0.25,
        "active": True,
    }
    request = ArchiveFileImportRequest.get()
    assert (request.node.name, request.path, request.recurse, request.register) == (
        *("n", "ALPENHORN_NODE"),
        *(False, False),
    )
    assert [bell.host for bell in Doorbell.select()] == ["h"]


@pytest.mark.parametrize(("flag", "letter"), [("archive", "A"), ("field", "F"), ("transport", "T")])
def test_roles(index: Any, run: Any, flag: str, letter: str) -> None:
    run("node", "create", "n", "--create-group", f"--{flag}")
    assert row()["storage_type"] == letter


def test_empty_text_is_null(index: Any, run: Any) -> None:
    """D22."""
    texts = ("--root=", "--host=", "--username=", "--address=", "--class=", "--notes=")
    run("node", "create", "n", "--create-group", *texts, "--io-config=")
    assert row() == DEFAULTS


def test_activate_and_init_add_no_output(index: Any, run: Any) -> None:
    result = run("node", "create", "n", "--create-group", "--activate", "--init")
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("n", 2, "missing --group or --create-group"),
        ("n --group=g --create-group", 2, "cannot use both --group and --create-group"),
        ("--create-group", 2, "Missing argument 'NAME'"),
        ("n --group=g --max-total=0", 2, "--max-total"),
        ("n --group=g --max-total=-1", 2, "--max-total"),
        ("n --group=g --max-total=all", 2, "--max-total"),
        ("n --group=g --max-total=nan", 2, "--max-total"),
        ("n --group=g --min-avail=-1", 2, "--min-avail"),
        ("n --group=g --min-avail=none", 2, "--min-avail"),
        ("n --group=g --min-avail=inf", 2, "--min-avail"),
        ("n --group=g --auto-verify=-1", 2, "--auto-verify"),
        ("n --group=g --auto-verify=1.5", 2, "--auto-verify"),
        ("n --group=g --archive --field", 2, "cannot use both --archive and --field"),
        ("n --group=g --archive --field --transport", 2, "cannot use both"),
        ("n --group=g --transport --field --io-var=x", 1, "VAR=VALUE"),
        ("n --group=g --io-config={", 1, "not valid JSON"),
        ("n --group=unknown", 1, "No such storage group"),
        ("old --group=unknown", 1, 'Node "old" already exists.'),
        ("old --create-group", 1, 'Node "old" already exists.'),
        ("g --create-group --init", 1, 'Group "g" already exists.'),
        ("n --group=g --host=" + "h" * 65, 1, "host is too long"),
        ("n" * 65 + " --group=g", 1, "invalid name"),
    ],
)
def test_errors_leave_nothing_behind(
    make: Any, run: Any, dump: Any, args: str, code: int, phrase: str
) -> None:
    make.node("old", group="g")
    before = dump()
    result = run("node", "create", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr.splitlines()[-1]
    assert dump() == before


def test_config_values_have_types(index: Any, run: Any) -> None:
    variables = ("a=1", "b=2.5", "c=1e3", "d=1=2", "e=x", "f=nan", "g=inf", "h=1_0", "i=-7", "e=")
    args = [f"--io-var={variable}" for variable in variables]
    run("node", "create", "n", "--create-group", *args)
    assert json.loads(row()["io_config"]) == {
        "a": 1,
        "b": 2.5,
        "c": 1000.0,
        "d": "1=2",
        "f": "nan",
        "g": "inf",
        "h": "1_0",
        "i": -7,
    }


def test_somebody_else_was_quicker(
    make: Any, run: Any, dump: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unique keys decide, and the group that was made for the node goes with it."""
    make.node("n", group="other")
    before = dump()
    monkeypatch.setattr("alpenhorn.db.queries.names.record", lambda *_: None)
    result = run("node", "create", "n", "--create-group", "--init")
    assert (result.stderr, result.code) == ('Error: Node "n" already exists.\n', 1)
    assert dump() == before


def test_nothing_else_is_made(index: Any, run: Any) -> None:
    run("node", "create", "n", "--create-group")
    assert [group.name for group in StorageGroup.select()] == ["n"]
    assert [node.name for node in StorageNode.select()] == ["n"]
