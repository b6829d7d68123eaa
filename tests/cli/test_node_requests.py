"""``alpenhorn node`` init, scan, autoclean."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import ArchiveFileImportRequest, StorageTransferAction
from alpenhorn.db.operations import Doorbell


def imports() -> list[tuple[str, str, bool, bool, bool]]:
    return [
        (r.node.name, r.path, r.recurse, r.register, r.completed)
        for r in ArchiveFileImportRequest.select().order_by(ArchiveFileImportRequest.id)
    ]


def test_init_always_adds_a_request(make: Any, run: Any) -> None:
    make.node("demo_storage1", active=False, host="host1")
    for _ in range(2):
        result = run("node", "init", "demo_storage1")
        assert result.stdout == 'Requested initialisation of Node "demo_storage1".\n'
    assert imports() == [("demo_storage1", "ALPENHORN_NODE", False, False, False)] * 2
    assert [(bell.host, bell.rings) for bell in Doorbell.select()] == [("host1", 2)]


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ([], "."),
        (["."], "."),
        ([""], "."),
        (["2025/02/21"], "2025/02/21"),
        (["2025//02/./21/"], "2025/02/21"),
        (["relative/path"], "relative/path"),
        (["a/../b"], "a/../b"),
        (["/root/absolute/path"], "absolute/path"),
        (["/root//absolute/./path/"], "absolute/path"),
        (["/root"], "."),
        (["/root/"], "."),
    ],
)
def test_scan(make: Any, run: Any, args: list[str], path: str) -> None:
    make.node("demo_storage1", root="/root/")
    result = run("node", "scan", "demo_storage1", *args)
    assert (result.stdout, result.code) == (
        f'Added request for scan of "{path}" on Node "demo_storage1".\n',
        0,
    )
    assert imports() == [("demo_storage1", path, True, False, False)]


@pytest.mark.parametrize("flag", ["-n", "--register-new"])
def test_scan_that_registers(make: Any, run: Any, flag: str) -> None:
    make.node("n", root="/root")
    run("node", "scan", "n", flag, "a")
    assert imports() == [("n", "a", True, True, False)]


def test_scan_below_the_root_of_everything(make: Any, run: Any) -> None:
    make.node("n", root="/")
    run("node", "scan", "n", "/a/b")
    assert imports()[0][1] == "a/b"


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        (["n", "/absolute/path"], 1, "outside node root"),
        (["n", "/rootless"], 1, "outside node root"),
        (["bare", "/root/a"], 1, "has no root"),
        (["unknown"], 1, "No such storage node"),
        (["n", "x" * 1025], 1, "invalid path"),
        ([], 2, "Missing argument 'NODE'"),
    ],
)
def test_scan_errors(
    make: Any, run: Any, dump: Any, args: list[str], code: int, phrase: str
) -> None:
    make.node("n", root="/root")
    make.node("bare")
    before = dump()
    result = run("node", "scan", *args)
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == before


def test_init_errors(index: Any, run: Any) -> None:
    assert run("node", "init").code == 2
    assert run("node", "init", "x").code == 1


def edges() -> list[tuple[str, str, bool, bool]]:
    return [
        (edge.node_from.name, edge.group_to.name, edge.autosync, edge.autoclean)
        for edge in StorageTransferAction.select()
    ]


@pytest.mark.parametrize("autosync", [True, False])
def test_autoclean_on_and_off(make: Any, run: Any, autosync: bool) -> None:
    node, group = make.node("demo_storage1"), make.group("demo_storage3")
    if autosync:
        StorageTransferAction.create(node_from=node, group_to=group, autosync=True)
    args = ("node", "autoclean", "demo_storage1", "demo_storage3")
    assert run(*args).stdout == 'Auto-clean trigger: Group "demo_storage3" added\n'
    assert edges() == [("demo_storage1", "demo_storage3", autosync, True)]
    assert run(*args).stdout == "No change.\n"
    removed = run(*args, "--remove")
    assert removed.stdout == 'Auto-clean trigger: Group "demo_storage3" removed.\n'
    assert edges() == [("demo_storage1", "demo_storage3", autosync, False)]
    assert run(*args, "--remove").stdout == "No change.\n"


def test_autoclean_refusals(make: Any, run: Any, dump: Any) -> None:
    make.node("n", group="g")
    before = dump()
    result = run("node", "autoclean", "n", "g")
    assert (result.code, "autoclean can't be enabled" in result.stderr) == (1, True)
    assert run("node", "autoclean", "n", "g", "--remove").stdout == "No change.\n"
    assert run("node", "autoclean", "x", "g").code == 1
    assert run("node", "autoclean", "n", "x").code == 1
    assert dump() == before
