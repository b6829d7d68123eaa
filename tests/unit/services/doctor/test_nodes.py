"""The nodes of this host: the medium is there, is the right one, and can be worked with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.services.doctor import nodes
from alpenhorn.services.doctor.report import Finding, Status

pytestmark = pytest.mark.usefixtures("index")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    (path / "ALPENHORN_NODE").write_text("n1\n")
    return path


def found(only: str | None = None, host: str = "here") -> dict[str, Finding]:
    return {finding.what: finding for finding in nodes.check(host, only)}


def bad(findings: dict[str, Finding]) -> list[tuple[str, Status]]:
    return [(what, f.status) for what, f in findings.items() if f.status is not Status.OK]


def test_a_healthy_node(make: Any, root: Path) -> None:
    """Nothing is left behind by trying whether it can be written."""
    make.node("n1", root=str(root))
    findings = found()
    assert not bad(findings)
    assert {"root", "identity", "space", "writing", "file system"} == set(findings)
    assert [path.name for path in root.iterdir()] == ["ALPENHORN_NODE"]


@pytest.mark.parametrize("path", ["/nowhere/at/all", "relative", "", None, "/dev/null"])
def test_a_root_that_is_none(make: Any, path: str | None) -> None:
    make.node("n1", root=path)
    findings = found()
    assert bad(findings) == [("root", Status.PROBLEM)]
    assert "Mount or make it" in findings["root"].advice


def test_another_medium_is_mounted(make: Any, root: Path) -> None:
    make.node("n1", root=str(root))
    (root / "ALPENHORN_NODE").write_text("n2\n")
    findings = found()
    assert bad(findings) == [("identity", Status.PROBLEM)]
    assert 'names another node: "n2"' in findings["identity"].text
    assert "writing" not in findings, "nothing is written on a medium that is not this node's"


def test_a_medium_without_a_name(make: Any, root: Path) -> None:
    make.node("n1", root=str(root))
    (root / "ALPENHORN_NODE").unlink()
    findings = found()
    assert bad(findings) == [("identity", Status.PROBLEM)]
    assert "alpenhorn node init n1" in findings["identity"].advice


def test_a_root_that_cannot_be_written(
    make: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In /proc nobody, not even root, can make a file."""
    probe = nodes._probe

    def try_in_proc(step: str, place: str | None, limit_s: float) -> Any:
        return probe(step, "/proc" if step == "try" else place, limit_s)

    make.node("n1", root=str(root))
    monkeypatch.setattr(nodes, "_probe", try_in_proc)
    findings = found()
    assert bad(findings) == [("writing", Status.PROBLEM)]
    assert findings["writing"].text.startswith(f"cannot make a file in {root}: ")


@pytest.mark.slow
def test_a_root_that_hangs_is_reported(
    make: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To open a pipe that nobody writes to hangs like a dead mount."""
    make.node("n1", root=str(root))
    (root / "ALPENHORN_NODE").unlink()
    os.mkfifo(root / "ALPENHORN_NODE")
    monkeypatch.setattr(nodes, "LIMIT_S", 2.0)
    findings = found()
    assert bad(findings) == [("root", Status.PROBLEM)]
    assert findings["root"].text == f"{root}: hangs: no answer within 2 s"


def test_too_little_space(make: Any, root: Path) -> None:
    make.node("n1", root=str(root), min_avail_gb=1e9)
    assert bad(found()) == [("space", Status.WARNING)]


def test_a_node_that_has_its_fill(make: Any, root: Path) -> None:
    node = make.node("n1", root=str(root), max_total_gb=1.0)
    make.copy("acq/f", node)
    assert not bad(found())
    make.file("acq/big", size_b=2**30)
    make.copy("acq/big", node)
    findings = found()
    assert bad(findings) == [("size", Status.WARNING)]
    assert findings["size"].text == "full: 1.000 GiB of at most 1.000 GiB"


@pytest.mark.parametrize(
    ("limit", "status"), [(1000, Status.OK), (7, Status.WARNING), (5, Status.PROBLEM)]
)
def test_directories_to_watch(
    make: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, status: Any
) -> None:
    """Those of all nodes together, which each have three, against what the kernel allows."""
    (tmp_path / "limit").write_text(f"{limit}\n")
    monkeypatch.setattr(nodes, "_INOTIFY", tmp_path / "limit")
    other = tmp_path / "other"
    for name, path in (("n1", root), ("n2", other)):
        (path / "a" / "b").mkdir(parents=True)
        (path / "ALPENHORN_NODE").write_text(f"{name}\n")
        make.node(name, root=str(path), auto_import=True)
    last = [finding for finding in nodes.check("here") if finding.what == "watch"][-1]
    assert last.text.startswith("6 directories to watch so far, of ")
    assert last.status is status


def test_a_polling_node_needs_no_watches(make: Any, root: Path) -> None:
    make.node("n1", root=str(root), auto_import=True, io_class="Polling")
    assert "looks for changes itself" in found()["watch"].text


def test_an_unknown_class(make: Any, root: Path) -> None:
    make.node("n1", root=str(root), io_class="Nowhere")
    assert bad(found()) == [("class", Status.PROBLEM)]


def test_one_bad_node_does_not_hide_another(make: Any, root: Path) -> None:
    make.node("n0", root="/nowhere", io_config="{")
    make.node("n1", root=str(root))
    sections = [(f.section, f.status) for f in nodes.check("here", None)]
    assert ("Node n0", Status.PROBLEM) in sections
    assert ("Node n1", Status.OK) in sections


def test_an_inactive_node_is_checked_on_request(make: Any) -> None:
    make.node("n1", root="/nowhere", active=False)
    assert not bad(found())
    assert bad(found("n1")) == [("root", Status.PROBLEM)]


def test_a_node_that_is_not_here(make: Any, root: Path) -> None:
    make.node("storage1", root=str(root))
    findings = found("storag1")
    assert bad(findings) == [("name", Status.PROBLEM)]
    assert findings["name"].advice.startswith("Did you mean storage1?")


def test_a_host_without_nodes_and_the_host_that_may_be_meant(make: Any) -> None:
    make.node("n1", host="alpenhost1")
    findings = found(host="alpenhost")
    assert bad(findings) == [("none", Status.WARNING)]
    assert findings["none"].advice.startswith("Did you mean alpenhost1?")
