"""``alpenhorn group`` create, modify, rename, autosync, list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alpenhorn.db import StorageGroup, StorageTransferAction


def group(name: str = "g") -> StorageGroup:
    return StorageGroup.get(name=name)


def config(name: str = "g") -> Any:
    stored = group(name).io_config
    return None if stored is None else json.loads(stored)


# create


def test_create(index: Any, run: Any) -> None:
    result = run("group", "create", "demo_storage1")
    assert (result.stdout, result.code) == ('Created storage group "demo_storage1".\n', 0)
    made = group("demo_storage1")
    assert (made.io_class, made.notes, made.io_config) == ("Default", None, None)


def test_create_with_everything(index: Any, run: Any) -> None:
    args = ["--class=Transport", "--notes", "a note", "--io-var=x=1", "--io-var", "y=2"]
    run("group", "create", "g", *args, "--io-var=x=9")
    assert (group().io_class, group().notes) == ("Transport", "a note")
    assert config() == {"x": 9, "y": 2}


def test_create_starts_from_the_given_config(index: Any, run: Any) -> None:
    run("group", "create", "g", '--io-config={"x": 1, "y": 2}', "--io-var=x=5", "--io-var=z=2.5")
    assert config() == {"x": 5, "y": 2, "z": 2.5}


def test_create_stores_empty_text_as_null(index: Any, run: Any) -> None:
    """D22."""
    run("group", "create", "g", "--notes=", "--class=", "--io-config=")
    assert (group().notes, group().io_class, group().io_config) == (None, None, None)


def test_create_refuses_a_taken_name(make: Any, run: Any, dump: Any) -> None:
    make.group("demo_storage1")
    before = dump()
    result = run("group", "create", "demo_storage1")
    assert result.stderr == 'Error: Group "demo_storage1" already exists.\n'
    assert result.code == 1
    assert dump() == before


def test_a_node_of_the_same_name_is_no_matter(make: Any, run: Any) -> None:
    make.node("n", group="g")
    assert run("group", "create", "n").code == 0


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\x1bb"])
def test_create_refuses_unusable_names(index: Any, run: Any, dump: Any, name: str) -> None:
    before = dump()
    result = run("group", "create", name)
    assert result.code == 1
    assert "invalid name" in result.stderr
    assert result.stderr.count("\n") == 1
    assert dump() == before


@pytest.mark.parametrize(
    ("args", "phrase"),
    [
        (["--io-config={"], "not valid JSON"),
        (["--io-config=[1]"], "not a JSON object"),
        (["--io-config=null"], "not a JSON object"),
        (["--io-var=x"], "VAR=VALUE"),
    ],
)
def test_config_errors_come_before_the_name(
    make: Any, run: Any, dump: Any, args: list[str], phrase: str
) -> None:
    make.group("g")
    before = dump()
    result = run("group", "create", "g", *args)
    assert result.code == 1
    assert phrase in result.stderr
    assert dump() == before


# modify


def test_modify_leaves_alone_what_is_not_given(make: Any, run: Any) -> None:
    """D3."""
    make.group("g", notes="old", io_class="C")
    assert run("group", "modify", "g", "--notes=new").stdout == "Storage group updated.\n"
    assert (group().notes, group().io_class) == ("new", "C")


@pytest.mark.parametrize("args", [[], ["--notes=old"], ["--io-config={ }"]])
def test_modify_without_a_change(make: Any, run: Any, dump: Any, args: list[str]) -> None:
    make.group("g", notes="old")
    before = dump()
    result = run("group", "modify", "g", *args)
    assert (result.stdout, result.code) == ("Nothing to do.\n", 0)
    assert dump() == before


def test_modify_clears_with_empty_values(make: Any, run: Any) -> None:
    make.group("g", notes="old", io_class="C", io_config='{"a": 1}')
    run("group", "modify", "g", "--notes=", "--class=", "--io-config=")
    assert (group().notes, group().io_class, group().io_config) == (None, None, None)


def test_modify_builds_the_config(make: Any, run: Any) -> None:
    make.group("g", io_config='{"p": 1, "q": 2, "r": 3}')
    new = '--io-config={"p": 7, "q": 8, "r": 9, "s": 0}'
    run("group", "modify", "g", new, "--io-var", "q=5", "--io-var=r=")
    assert config() == {"p": 7, "q": 5, "s": 0}


def test_modify_with_an_invalid_stored_config(make: Any, run: Any) -> None:
    """D5: it is looked at only if it must be, and can be repaired."""
    make.group("g", io_config="{bad")
    assert run("group", "modify", "g", "--notes=x").code == 0
    result = run("group", "modify", "g", "--io-var=p=4")
    assert result.code == 1
    assert "invalid I/O config in the database" in result.stderr
    assert group().io_config == "{bad"
    assert run("group", "modify", "g", '--io-config={"p": 4}').code == 0
    assert config() == {"p": 4}


def test_modify_treats_a_stored_null_as_empty(make: Any, run: Any) -> None:
    """D4."""
    make.group("g", io_config="null")
    assert run("group", "modify", "g", "--io-var=p=4").code == 0
    assert config() == {"p": 4}


def test_modify_an_unknown_group(index: Any, make: Any, run: Any) -> None:
    make.group("demo")
    result = run("group", "modify", "demo1", "--notes=x")
    assert result.code == 1
    assert '"demo1" does not exist' in result.stderr
    assert 'Did you mean "demo"?' in result.stderr


# rename


def test_rename(make: Any, run: Any) -> None:
    """D6: the message has both names."""
    made = make.group("old")
    result = run("group", "rename", "old", "new")
    assert result.code == 0
    assert all(word in result.stdout for word in ('"old"', '"new"', "renamed"))
    assert group("new").id == made.id


def test_rename_to_itself_looks_nothing_up(index: Any, run: Any) -> None:
    result = run("group", "rename", "g", "g")
    assert (result.stdout, result.code) == ("No change.\n", 0)


def test_rename_to_a_taken_name(make: Any, run: Any, dump: Any) -> None:
    make.group("g2")
    before = dump()
    result = run("group", "rename", "unknown", "g2")
    assert (result.stderr, result.code) == ('Error: Group "g2" already exists.\n', 1)
    assert dump() == before


def test_rename_errors(make: Any, run: Any, dump: Any) -> None:
    make.group("g")
    before = dump()
    assert "No such storage group" in run("group", "rename", "unknown", "g2").stderr
    assert run("group", "rename", "g", "").code == 1
    assert run("group", "rename", "g").code == 2
    assert dump() == before


# autosync


def edges() -> list[tuple[str, str, bool, bool]]:
    return [
        (edge.node_from.name, edge.group_to.name, edge.autosync, edge.autoclean)
        for edge in StorageTransferAction.select()
    ]


def test_autosync_on_and_off(make: Any, run: Any) -> None:
    make.node("n")
    make.group("g")
    on = run("group", "autosync", "g", "n")
    assert (on.stdout, on.code) == ('Auto-sync from "n" started\n', 0)
    assert edges() == [("n", "g", True, False)]
    assert run("group", "autosync", "g", "n").stdout == "No change.\n"
    off = run("group", "autosync", "g", "n", "--remove")
    assert off.stdout == 'Auto-sync from "n" stopped.\n'
    assert edges() == [("n", "g", False, False)]
    assert run("group", "autosync", "g", "n", "--remove").stdout == "No change.\n"


def test_autosync_remove_makes_no_row(make: Any, run: Any) -> None:
    make.node("n")
    make.group("g")
    assert run("group", "autosync", "--remove", "g", "n").stdout == "No change.\n"
    assert edges() == []


@pytest.mark.parametrize("autoclean", [True, False])
def test_autosync_never_changes_autoclean(make: Any, run: Any, autoclean: bool) -> None:
    StorageTransferAction.create(
        node_from=make.node("n"), group_to=make.group("g"), autoclean=autoclean
    )
    run("group", "autosync", "g", "n")
    assert edges() == [("n", "g", True, autoclean)]
    run("group", "autosync", "g", "n", "--remove")
    assert edges() == [("n", "g", False, autoclean)]


def test_autosync_within_a_group_is_refused(make: Any, run: Any, dump: Any) -> None:
    make.node("n", group="g")
    before = dump()
    result = run("group", "autosync", "g", "n")
    assert result.code == 1
    assert "autosync can't be enabled" in result.stderr
    assert '"n"' in result.stderr and '"g"' in result.stderr
    assert run("group", "autosync", "g", "n", "--remove").stdout == "No change.\n"
    assert dump() == before


def test_autosync_of_unknown_names(make: Any, run: Any, dump: Any) -> None:
    make.node("n")
    before = dump()
    assert "No such storage group" in run("group", "autosync", "x", "n").stderr
    assert "No such storage node" in run("group", "autosync", "n", "x").stderr
    assert dump() == before


# list


def test_list_without_groups(index: Any, run: Any) -> None:
    assert run("group", "list").stdout == "No storage groups\n"
    assert run("group", "list", "--json").json == []


def test_list(make: Any, run: Any) -> None:
    make.group("demo_storage1")
    make.group("transport_group", io_class="Transport")
    assert run("group", "list").stdout.splitlines() == [
        "Name             I/O Class    Notes",
        "---------------  -----------  -------",
        "demo_storage1    Default",
        "transport_group  Transport",
    ]
    assert run("group", "list", "--json").json == [
        {"name": "demo_storage1", "io_class": None, "notes": None},
        {"name": "transport_group", "io_class": "Transport", "notes": None},
    ]


def test_text_is_printed_as_it_is(make: Any, run: Any) -> None:
    """D20: nothing is taken for a number, and nothing acts on the terminal."""
    make.group("1e5", notes="0012.50")
    make.group("esc", notes="red\x1b[31m\nnext line")
    lines = run("group", "list").stdout.splitlines()
    assert lines[2] == "1e5     Default      0012.50"
    assert lines[3] == r"esc     Default      red\x1b[31m\nnext line"
