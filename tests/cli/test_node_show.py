"""``alpenhorn node show``."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from alpenhorn.db import ArchiveFileImportRequest, StorageTransferAction

end = " "  # labels without a value end in a blank
TIME = datetime.datetime(2025, 2, 26, 22, 54, 14, 987654)


def ask(node: Any, path: str, minute: int, **values: Any) -> None:
    timestamp = values.pop("timestamp", TIME).replace(minute=minute)
    ArchiveFileImportRequest.create(node=node, path=path, timestamp=timestamp, **values)


def test_show_all_as_in_the_demo(make: Any, run: Any) -> None:
    """Transcript 17."""
    node = make.node("demo_storage2", active=False, root="/data", host="alpenhost2")
    ask(node, "ALPENHORN_NODE", 54)
    ask(node, "ALPENHORN_NODE", 53, completed=True)
    expected = f"""\
   Storage Node: demo_storage2
  Storage Group: demo_storage2
         Active: No
           Type: -
          Notes:{end}
      I/O Class: Default

    Daemon Host: alpenhost2
 Log-in Address:{end}
Log-in Username:{end}

    Auto-Import: Off
    Auto-Verify: Off
      Max Total: -
      Available: -
  Min Available: -
   Last Checked: -

I/O Config:

  none

Stats:

    Total Files: 0
     Total Size: -
          Usage: -%

Pending import requests:

Path         Scan    Register New    Request Time
-----------  ------  --------------  -------------------
[Node Init]  -       -               2025-02-26 22:54:14

Pending outbound transfers:

Dest. Group    Request Count    Total Size
-------------  ---------------  ------------

Auto-actions:

  none
"""
    assert run("node", "show", "demo_storage2", "--all").stdout == expected
    assert run("node", "show", "demo_storage2", "-a").stdout == expected


def test_show_a_node_in_use(make: Any, run: Any) -> None:
    """Transcript 33, with more filled in. The root is not shown (D1)."""
    make.node(
        "demo_storage2",
        storage_type="A",
        root="/hidden",
        host="alpenhost2",
        username="root",
        address="alpenhost2",
        notes="a note",
        io_class="Polling",
        auto_import=True,
        auto_verify=7,
        avail_gb=45.38,
        max_total_gb=10.5,
        min_avail_gb=0.25,
        io_config='{"fixity": "md5", "quota": 500}',
        avail_gb_last_checked=datetime.datetime(2025, 3, 7, 2, 27, 47, 5),
    )
    assert run("node", "show", "demo_storage2").stdout == (
        """\
   Storage Node: demo_storage2
  Storage Group: demo_storage2
         Active: Yes
           Type: Archive
          Notes: a note
      I/O Class: Polling

    Daemon Host: alpenhost2
 Log-in Address: alpenhost2
Log-in Username: root

    Auto-Import: On
    Auto-Verify: On (Size: 7)
      Max Total: 10.50 GiB
      Available: 45.38 GiB
  Min Available: 256.0 MiB
   Last Checked: Fri Mar  7 02:27:47 2025 UTC

I/O Config:

  fixity: md5
   quota: 500
"""
    )


def test_negative_limits_are_dashes(make: Any, run: Any) -> None:
    make.node("n", max_total_gb=-1, min_avail_gb=-2, avail_gb=-0.5, storage_type="T")
    lines = run("node", "show", "n").stdout.splitlines()
    assert [line for line in lines if "GiB" in line] == []
    assert "      Max Total: -" in lines
    assert "      Available: -" in lines
    assert "  Min Available: -" in lines
    assert "           Type: Transport" in lines


def test_stats(make: Any, run: Any) -> None:
    node = make.node("n", max_total_gb=8 / 2**20)
    make.file("a/f", size_b=4690)
    make.copy("a/f", node)
    assert run("node", "show", "n", "--stats").stdout.endswith(
        "\nStats:\n\n    Total Files: 1\n     Total Size: 4.580 kiB\n          Usage: 57.25%\n"
    )


def test_imports(make: Any, run: Any) -> None:
    """D21: the index keeps microseconds, people see whole seconds."""
    node = make.node("n")
    ask(node, "b/file", 30, register=True)
    ask(node, "a/dir", 20, recurse=True)
    ask(node, "done", 10, completed=True)
    ask(node, "ALPENHORN_NODE", 50)
    ask(node, "ALPENHORN_NODE", 40)
    ask(make.node("other"), "elsewhere", 1)
    assert run("node", "show", "n", "--imports").stdout.splitlines()[-8:] == [
        "Pending import requests:",
        "",
        "Path         Scan    Register New    Request Time",
        "-----------  ------  --------------  -------------------",
        "[Node Init]  -       -               2025-02-26 22:40:14",
        "[Node Init]  -       -               2025-02-26 22:50:14",
        "a/dir        Yes     No              2025-02-26 22:20:14",
        "b/file       No      Yes             2025-02-26 22:30:14",
    ]


def test_transfers(make: Any, run: Any) -> None:
    node = make.node("n")
    for number in range(3):
        make.file(f"a/{number}", size_b=1234)
        make.request(f"a/{number}", node, "z")
    make.request("a/0", node, "b")
    make.request("a/1", node, "b", completed=True)
    make.request("a/2", node, "b", cancelled=True)
    make.request("a/2", make.node("other"), "b")
    assert run("node", "show", "n", "--transfers").stdout.splitlines()[-4:] == [
        "Dest. Group      Request Count  Total Size",
        "-------------  ---------------  ------------",
        "b                            1  1.205 kiB",
        "z                            3  3.615 kiB",
    ]


def test_actions(make: Any, run: Any) -> None:
    """Transcript 43."""
    node = make.node("demo_storage1")
    g2, g3 = make.group("demo_storage2"), make.group("demo_storage3")
    StorageTransferAction.create(node_from=node, group_to=g3, autoclean=True)
    StorageTransferAction.create(node_from=node, group_to=g2, autosync=True)
    StorageTransferAction.create(node_from=node, group_to=make.group("idle"))
    StorageTransferAction.create(node_from=make.node("x"), group_to=g2, autosync=True)
    assert run("node", "show", "demo_storage1", "--actions").stdout.splitlines()[-6:] == [
        "Auto-actions:",
        "",
        "Group          Action      Trigger",
        "-------------  ----------  ------------------------",
        "demo_storage2  Auto-sync   File added to this node",
        "demo_storage3  Auto-clean  File added to that group",
    ]


def test_json(make: Any, run: Any) -> None:
    node = make.node(
        "n", avail_gb=1.5, avail_gb_last_checked=TIME.replace(microsecond=0), io_config='{"a": 1}'
    )
    ask(node, "ALPENHORN_NODE", 54, timestamp=TIME.replace(microsecond=0))
    report = run("node", "show", "n", "--all", "--json").json
    assert report["avail_gb_last_checked"] == "2025-02-26T22:54:14Z"
    assert (report["type"], report["active"], report["io_config"]) == ("field", True, {"a": 1})
    assert report["stats"]["file_count"] == 0
    assert report["imports"] == [
        {
            "path": "ALPENHORN_NODE",
            "scan": None,
            "register_new": None,
            "request_time": "2025-02-26T22:54:14Z",
        }
    ]
    assert (report["transfers"], report["actions"]) == ([], [])


@pytest.mark.parametrize(("args", "code"), [(["x"], 1), ([], 2), (["1"], 1)])
def test_errors(make: Any, run: Any, args: list[str], code: int) -> None:
    """A record id is no name."""
    make.node("n")
    result = run("node", "show", *args)
    assert (result.stdout, result.code) == ("", code)
