"""``doctor``: what it prints, how it ends, and that it works when nothing else does."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.db.queries import doctor


@pytest.fixture
def healthy(make: Any, tmp_path: Path, conf: Path) -> Path:
    """A host with a node; returns the node's root."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "ALPENHORN_NODE").write_text("n1\n")
    make.node("n1", root=str(root))
    with conf.open("a") as file:
        file.write("base:\n  hostname: here\n")
    return root


def test_a_host_that_lacks_nothing_but_its_daemon(healthy: Path, run: Any, dump: Any) -> None:
    """Warnings do not fail; the index is as it was."""
    before = dump()
    result = run("doctor")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.endswith("\nNo problems, 1 warning.\n")
    assert re.search(r"^  warning  lease  +no daemon runs .*\n +-> Start", result.stdout, re.M)
    assert dump() == before
    assert [path.name for path in healthy.iterdir()] == ["ALPENHORN_NODE"]


def test_lines_are_aligned(healthy: Path, run: Any) -> None:
    lines = [line for line in run("doctor").stdout.splitlines() if line.startswith("  ")]
    assert all(
        re.match(r"  (?:ok     |warning|problem)  .{12}  \S", line)
        for line in lines
        if "->" not in line
    )
    assert all(line.index("->") == 25 for line in lines if "->" in line)


def test_a_problem_fails(healthy: Path, run: Any) -> None:
    (healthy / "ALPENHORN_NODE").write_text("n2\n")
    result = run("doctor")
    assert result.code == 1
    assert result.stdout.endswith("\n1 problem, 1 warning.\n")


def test_json(healthy: Path, run: Any) -> None:
    (healthy / "ALPENHORN_NODE").unlink()
    result = run("doctor", "--json")
    assert result.code == 1
    assert (result.json["ok"], result.json["problems"], result.json["warnings"]) == (False, 1, 1)
    (problem,) = (each for each in result.json["findings"] if each["status"] == "problem")
    assert (problem["section"], problem["check"]) == ("Node n1", "identity")
    assert "alpenhorn node init n1" in problem["advice"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("base: [\n", "cannot read config file"),
        ("- a list\n", "mapping expected at top level"),
        ("database: 3\n", "invalid config value for database: mapping expected"),
        ("database:\n  url: mysql://me:hunter2@127.0.0.1:1/x\n", "Can't connect"),
        ("database:\n  url: sqlite:////nowhere/index.db\n", "no file /nowhere/index.db"),
        ("extensions: 3\n", "invalid config value for extensions"),
        ("daemon:\n  remote_shell: [a]\n", "invalid config value for daemon.remote_shell"),
    ],
)
def test_it_works_when_nothing_else_does(conf: Path, run: Any, text: str, named: str) -> None:
    """What is wrong is reported, and what can be checked is; nobody sees the password."""
    conf.write_text(text)
    result = run("doctor")
    assert (result.code, result.stderr) == (1, "")
    assert named in result.stdout
    assert re.search(r"^Tools\n  ok +rsync", result.stdout, re.M)
    assert "hunter2" not in result.stdout


def test_an_index_that_has_a_problem_still_tells_of_its_nodes(
    healthy: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = datetime.datetime(2001, 1, 1)
    monkeypatch.setattr(doctor, "clock", lambda: wrong)
    result = run("doctor")
    assert result.code == 1
    assert "server and this host differ by" in result.stdout
    assert "ALPENHORN_NODE names n1" in result.stdout


def test_one_node(healthy: Path, make: Any, run: Any) -> None:
    make.node("n2", root="/nowhere")
    assert run("doctor").code == 1
    result = run("doctor", "--node", "n1")
    assert result.code == 0
    assert "Node n2" not in result.stdout


def test_a_node_that_does_not_exist(healthy: Path, run: Any) -> None:
    result = run("doctor", "--node", "n9")
    assert result.code == 1
    assert 'host "here" has no node of this name' in result.stdout


def test_routes_are_left_out_on_request(healthy: Path, make: Any, run: Any) -> None:
    make.request("acq/f", make.node("far", host="there", address="-x", username="me"), "n1")
    assert "Route far -> n1" in run("doctor").stdout
    result = run("doctor", "--no-routes")
    assert result.code == 0
    assert "Route" not in result.stdout


def test_names_from_the_index_cannot_act_on_the_terminal(
    healthy: Path, make: Any, run: Any
) -> None:
    make.node("evil\x1b[2J", root="/no\x1b[2Jwhere")
    assert "\x1b" not in run("doctor").stdout
