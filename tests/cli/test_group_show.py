"""``alpenhorn group show``."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import StorageTransferAction

end = " "  # labels without a value end in a blank


def test_show_alone(make: Any, run: Any) -> None:
    make.group("demo_storage2")
    result = run("group", "show", "demo_storage2")
    assert (result.stdout, result.code) == (
        f"""\
Storage Group: demo_storage2
        Notes:{end}
    I/O Class: Default

I/O Config:

  none

Nodes:

  none
""",
        0,
    )


@pytest.mark.parametrize(
    ("stored", "lines"),
    [
        (None, ["  none"]),
        ("", ["  none"]),
        ("{}", ["  empty"]),
        ("null", ["  empty"]),
        ('{"fixity": "md5", "quota": 500}', ["  fixity: md5", "   quota: 500"]),
        ('{"' + "k" * 40 + '": 1, "s": 2}', [f"  {'k' * 40}: 1", f"  {'s':>30}: 2"]),
        ("{bad", ["INVALID (JSON decode error)"]),
    ],
)
def test_io_config_section(make: Any, run: Any, stored: str | None, lines: list[str]) -> None:
    make.group("g", io_config=stored)
    shown = run("group", "show", "g").stdout.splitlines()
    start = shown.index("I/O Config:") + 2
    assert shown[start : shown.index("Nodes:") - 1] == lines


def test_actions(make: Any, run: Any) -> None:
    """Transcript 38, with another edge that does nothing and one of another group."""
    demo1 = make.node("demo_storage1")
    make.node("demo_storage2")
    group = make.group("demo_storage2")
    StorageTransferAction.create(node_from=demo1, group_to=group, autosync=True)
    StorageTransferAction.create(node_from=make.node("idle"), group_to=group)
    StorageTransferAction.create(node_from=demo1, group_to=make.group("other"), autoclean=True)
    assert run("group", "show", "demo_storage2", "--actions").stdout == (
        f"""\
Storage Group: demo_storage2
        Notes:{end}
    I/O Class: Default

I/O Config:

  none

Nodes:

  demo_storage2

Auto-actions:

Node           Action     Trigger
-------------  ---------  -----------------------
demo_storage1  Auto-sync  File added to that node
"""
    )


def test_an_edge_with_both_actions_has_two_rows(make: Any, run: Any) -> None:
    group = make.group("g")
    StorageTransferAction.create(
        node_from=make.node("n"), group_to=group, autosync=True, autoclean=True
    )
    lines = run("group", "show", "g", "--actions").stdout.splitlines()
    assert lines[-2:] == [
        "n       Auto-clean  File added to this group",
        "n       Auto-sync   File added to that node",
    ]


def test_node_stats(make: Any, run: Any) -> None:
    """Transcript 46; copies that are corrupt, gone or released are not counted."""
    node = make.node("transport1", group="transport_group")
    make.group("transport_group").update(io_class="Transport").execute()
    for number in range(8):
        make.file(f"a/{number}", size_b=23)
        make.copy(f"a/{number}", node)
    for number, state in enumerate(["XY", "NY", "YN", "YM", "MY"]):
        make.copy(f"bad/{number}", node, *state)
    assert run("group", "show", "--node-stats", "transport_group").stdout.endswith(
        """\
    I/O Class: Transport

I/O Config:

  none

Nodes:

Name          File Count  Total Size    % Full
----------  ------------  ------------  --------
transport1             8  184 B         -
"""
    )


def test_a_percentage_has_two_decimals(make: Any, run: Any) -> None:
    node = make.node("n", group="g", max_total_gb=8 / 2**20)
    make.file("a/f", size_b=4690)
    make.copy("a/f", node)
    make.file("a/small", size_b=1)
    make.copy("a/small", make.node("m", group="g", max_total_gb=10))
    lines = run("group", "show", "g", "--node-stats").stdout.splitlines()
    assert lines[-2:] == [
        "n                  1  4.580 kiB     57.25",
        "m                  1  1 B           0.00",
    ]


def test_node_details(make: Any, run: Any) -> None:
    make.node("n", group="g", host="h1")
    make.node("m", group="g", host=None, active=False, io_class="Polling")
    assert run("group", "show", "g", "--node-details").stdout.splitlines()[-4:] == [
        "Name    Host    Active    I/O Class",
        "------  ------  --------  -----------",
        "n       h1      Yes       Default",
        "m               No        Polling",
    ]


def test_transfers(make: Any, run: Any) -> None:
    node, group = make.node("src"), make.group("g").name
    for number in range(3):
        make.file(f"a/{number}", size_b=1234)
        make.request(f"a/{number}", node, group)
    make.request("a/0", node, group, cancelled=True)
    make.request("a/0", node, group, completed=True)
    make.request("a/0", node, "other")
    make.file("a/unknown", size_b=None)
    make.request("a/unknown", make.node("another"), group)
    assert run("group", "show", "g", "--transfers").stdout.splitlines()[-6:] == [
        "Pending inbound transfers:",
        "",
        "Source Node      Request Count  Total Size",
        "-------------  ---------------  ------------",
        "another                      1  -",
        "src                          3  3.615 kiB",
    ]


def test_all(make: Any, run: Any) -> None:
    make.node("n", group="g", host="h")
    assert run("group", "show", "g", "--all").stdout.splitlines()[8:] == [
        "Nodes:",
        "",
        "Name    Host    Active    I/O Class      File Count  Total Size    % Full",
        "------  ------  --------  -----------  ------------  ------------  --------",
        "n       h       Yes       Default                 0  -             -",
        "",
        "Pending inbound transfers:",
        "",
        "Source Node    Request Count    Total Size",
        "-------------  ---------------  ------------",
        "",
        "Auto-actions:",
        "",
        "  none",
    ]
    assert run("group", "show", "g", "-a").stdout == run("group", "show", "g", "--all").stdout


def test_json_has_the_same_rows_with_types(make: Any, run: Any) -> None:
    node = make.node("n", group="g", host="h", max_total_gb=1)
    make.file("a/f", size_b=2**29)
    make.copy("a/f", node)
    make.request("a/f", make.node("src"), "g")
    report = run("group", "show", "g", "--all", "--json").json
    assert report == {
        "name": "g",
        "notes": None,
        "io_class": None,
        "io_config": None,
        "auto_repair": False,
        "nodes": [
            {
                "name": "n",
                "host": "h",
                "active": True,
                "io_class": None,
                "file_count": 1,
                "total_size_b": 2**29,
                "percent_full": 50.0,
            }
        ],
        "transfers": [{"source_node": "src", "request_count": 1, "total_size_b": 2**29}],
        "actions": [],
    }


def test_unknown_group(index: Any, run: Any) -> None:
    result = run("group", "show", "g")
    assert (result.stdout, result.code) == ("", 1)
    assert 'No such storage group: "g"' in result.stderr
