"""``alpenhorn node`` list and stats."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import StorageNode, database_proxy

GIB = 2**30


@pytest.fixture
def demo(make: Any) -> Any:
    make.node("demo_storage1", host="alpenhost1", root="/data")
    make.node("demo_storage2", host="alpenhost2", root="/data", storage_type="A")
    make.node(
        "transport1",
        group="transport_group",
        host="alpenhost1",
        root="/mnt/transport",
        storage_type="T",
    )
    make.node("off", active=False, host=None, io_class="Polling", notes="1e5")
    return make


def test_list(demo: Any, run: Any) -> None:
    assert run("node", "list", "--active").stdout.splitlines() == [
        "Name           Group            Role       I/O Class    Host        Active"
        "    Root            Notes",
        "-------------  ---------------  ---------  -----------  ----------  --------"
        "  --------------  -------",
        "demo_storage1  demo_storage1    -                       alpenhost1  Yes       /data",
        "demo_storage2  demo_storage2    archive                 alpenhost2  Yes       /data",
        "transport1     transport_group  transport               alpenhost1  Yes"
        "       /mnt/transport",
    ]


def test_list_as_json(demo: Any, run: Any) -> None:
    assert run("node", "list", "--inactive", "--json").json == [
        {
            "name": "off",
            "group": "off",
            "role": "field",
            "io_class": "Polling",
            "host": None,
            "active": False,
            "root": None,
            "notes": "1e5",
        }
    ]


@pytest.mark.sqlite
def test_a_strange_role(make: Any, run: Any) -> None:
    make.node("n")
    database_proxy.execute_sql("UPDATE storagenode SET storage_type = '?'")
    assert "  ???  " in run("node", "list").stdout


@pytest.mark.parametrize("command", ["list", "stats"])
@pytest.mark.parametrize(
    ("args", "names"),
    [
        ("", ["demo_storage1", "demo_storage2", "transport1", "off"]),
        ("--active", ["demo_storage1", "demo_storage2", "transport1"]),
        ("--inactive", ["off"]),
        ("--active --inactive", ["off"]),
        ("--host=alpenhost1", ["demo_storage1", "transport1"]),
        ("--group transport_group", ["transport1"]),
        ("--host=alpenhost1 --group=demo_storage1", ["demo_storage1"]),
        ("--inactive --host=alpenhost1", []),
        ("--host=nowhere", []),
    ],
)
def test_selection(demo: Any, run: Any, command: str, args: str, names: list[str]) -> None:
    result = run("node", command, *args.split(), "--json")
    assert [node["name"] for node in result.json] == names
    if not names:
        plain = run("node", command, *args.split())
        assert (plain.stdout, plain.code) == ("no nodes\n", 0)


@pytest.mark.parametrize("command", ["list", "stats"])
def test_unknown_group(demo: Any, run: Any, command: str) -> None:
    result = run("node", command, "--group=x")
    assert (result.code, "No such storage group" in result.stderr) == (1, True)


def test_stats(make: Any, run: Any) -> None:
    """The worked example of the contract."""
    n1 = make.node("demo_storage1")
    make.node("demo_storage2", max_total_gb=-1)
    n3, n4 = make.node("N3", max_total_gb=10), make.node("N4", max_total_gb=20)
    sizes = {"1": 2 * GIB, "2": GIB, "3": 12, "4": 12, "5": 12, "6": 14, "7": 52}
    for name, size in sizes.items():
        make.file(f"a/{name}", size_b=size)
    for name in "34567":
        make.copy(f"a/{name}", n1)
    for name in "12":
        make.copy(f"a/{name}", n3)
    make.copy("a/2", n4)
    for number, state in enumerate(("YM", "YN", "MY", "XY", "NY", "MN", "XM")):
        make.copy(f"b/{number}", n4, *state)
    assert run("node", "stats").stdout == (
        "Name             File Count    Total Size    % Full\n"
        "-------------  ------------  ------------  --------\n"
        "demo_storage1             5         102 B         -\n"
        "demo_storage2             0             -         -\n"
        "N3                        2     3.000 GiB     30.00\n"
        "N4                        1     1.000 GiB      5.00\n"
    )


def test_extra_stats(make: Any, run: Any) -> None:
    """Transcript 27; released and removable copies are in no column."""
    node = make.node("demo_storage1")
    for number, size in enumerate((12, 12, 14, 52)):
        make.file(f"a/{number}", size_b=size)
        make.copy(f"a/{number}", node)
    make.copy("a/bad", node, "X")
    for state in ("MN", "XN", "NN", "NM", "MM", "XM"):
        make.copy(f"b/{state}", node, *state)
    make.node("demo_storage2")
    assert run("node", "stats", "--extra-stats").stdout == (
        "Name             File Count    Total Size    % Full"
        "    Corrupt Files    Suspect Files    Missing Files\n"
        "-------------  ------------  ------------  --------"
        "  ---------------  ---------------  ---------------\n"
        "demo_storage1             4          90 B         -"
        "                1                -                -\n"
        "demo_storage2             0             -         -"
        "                -                -                -\n"
    )


def test_stats_as_json(make: Any, run: Any) -> None:
    node = make.node("n", max_total_gb=1)
    make.file("a/f", size_b=GIB // 3)
    make.copy("a/f", node)
    make.copy("a/m", node, "M")
    (row,) = run("node", "stats", "--extra-stats", "--json").json
    assert row.pop("percent_full") == pytest.approx(33.3, abs=0.1)
    assert row == {
        "name": "n",
        "file_count": 1,
        "total_size_b": GIB // 3,
        "corrupt_files": 0,
        "suspect_files": 1,
        "missing_files": 0,
    }


def test_a_total_of_nothing_is_a_dash(make: Any, run: Any) -> None:
    node = make.node("n", max_total_gb=1)
    make.file("a/zero", size_b=0)
    make.file("a/unknown", size_b=None)
    make.copy("a/zero", node)
    make.copy("a/unknown", node)
    assert run("node", "stats").stdout.splitlines()[-1].split() == ["n", "2", "-", "-"]


def test_stats_take_few_statements(make: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many nodes there are."""
    import peewee

    for number in range(20):
        make.copy("a/f", make.node(f"n{number}"))
    selects = []
    execute = peewee.Database.execute_sql

    def counted(self: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
        selects.extend([sql] if "storagenode" in sql else [])
        return execute(self, sql, *args, **kwargs)

    monkeypatch.setattr(peewee.Database, "execute_sql", counted)
    assert len(run("node", "stats", "--json").json) == 20
    assert len(selects) == 2
    assert StorageNode.select().count() == 20
