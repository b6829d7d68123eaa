"""Routes to this host: which are in use, and what is wrong with one, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.db.queries import doctor
from alpenhorn.services.doctor import routes
from alpenhorn.services.doctor.report import Finding, Status

LOGS_IN_HERE = """#!/bin/sh
while [ "$1" = "-l" ]; do shift 2; done
shift
exec "$@"
"""


@pytest.fixture
def remote_shell(tmp_path: Path) -> Any:
    """Use a script in place of ssh."""

    def use(script: str) -> None:
        path = tmp_path / "shell"
        path.write_text(script)
        path.chmod(0o755)
        (tmp_path / "conf").write_text(f"daemon:\n  remote_shell: {path}\n")
        config.load_config(tmp_path / "conf", cli=True)

    return use


@pytest.fixture
def far(make: Any, tmp_path: Path, remote_shell: Any) -> db.StorageNode:
    """A node on another host, from which files are wanted; its host is reached without ssh."""
    remote_shell(LOGS_IN_HERE)
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "ALPENHORN_NODE").write_text("far\n")
    make.node("near")
    node = make.node(
        "far", host="there", address="localhost", username="me", root=str(tmp_path / "far")
    )
    make.request("acq/f", node, "near")
    return node


def change(node: db.StorageNode, **values: Any) -> None:
    db.StorageNode.update(values).where(db.StorageNode.id == node.id).execute()


def found() -> dict[str, Finding]:
    return {finding.what: finding for finding in routes.check("here")}


def problem(findings: dict[str, Finding]) -> Finding:
    """Return the only problem, at which the examination of the route ended."""
    *before, last = findings.values()
    assert all(finding.status is Status.OK for finding in before)
    assert last.status is Status.PROBLEM
    assert last.advice
    return last


def used(host: str = "here") -> list[tuple[str, tuple[str, ...], int]]:
    return [(use.source.name, use.groups, use.pending) for use in doctor.routes_to(host)]


def test_routes_with_pending_requests(make: Any, far: db.StorageNode) -> None:
    make.request("acq/g", far, "near")
    assert used() == [("far", ("near",), 2)]
    assert used("there") == []


def test_routes_of_the_past_and_of_auto_sync(make: Any, far: db.StorageNode) -> None:
    """Also those on which nothing waits now."""
    db.ArchiveFileCopyRequest.update(completed=True).execute()
    other = make.node("other", host="elsewhere")
    make.node("near2")
    group = make.group("near2")
    db.StorageTransferAction.create(node_from=other, group_to=group, autosync=True)
    db.StorageTransferAction.create(node_from=far, group_to=group, autoclean=True)
    assert used() == [("far", ("near",), 0), ("other", ("near2",), 0)]


def test_routes_that_are_none(make: Any, far: db.StorageNode) -> None:
    """Between nodes of this host, or into groups that have no active node here."""
    here = make.node("here1")
    make.request("acq/g", here, "near")
    make.node("resting", active=False)
    make.request("acq/h", make.node("far2", host="there"), "resting")
    assert used() == [("far", ("near",), 1)]


def test_a_healthy_route(far: db.StorageNode) -> None:
    """Each step is reported, up to the rate."""
    findings = found()
    assert [f.status for f in findings.values()] == [Status.OK] * 5
    assert list(findings) == ["name", "log-in", "rsync", "root", "round trip"]
    assert {f.section for f in findings.values()} == {"Route far -> near"}
    assert "1.000 MiB there and back in" in findings["round trip"].text


def test_no_route(index: Any) -> None:
    assert found()["none"].good


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"address": "-oProxyCommand=touch /tmp/x"}, "invalid address"),
        ({"username": "a b"}, "invalid user name"),
        ({"address": None}, "no address"),
        ({"io_config": '{"ssh_port": "-1"}'}, "invalid ssh_port"),
        ({"io_config": "{"}, "not JSON"),
    ],
)
def test_an_address_that_is_none(far: db.StorageNode, values: Any, named: str) -> None:
    """Nothing is run with it."""
    change(far, **values)
    finding = problem(found())
    assert finding.what == "address"
    assert named in finding.text


def test_a_name_that_does_not_resolve(far: db.StorageNode) -> None:
    change(far, address="no-such-host.invalid")
    finding = problem(found())
    assert finding.what == "name"
    assert "no-such-host.invalid cannot be resolved" in finding.text


@pytest.mark.parametrize(
    ("says", "text", "advised"),
    [
        (
            "me@localhost: Permission denied (publickey).",
            "localhost does not let me in",
            "authorized_keys there",
        ),
        ("Host key verification failed.", "the host key of localhost is unknown", "compare"),
        (
            "connect to host localhost port 22: Connection refused",
            "localhost refuses connections",
            "Is sshd running there",
        ),
        ("something else", "as me@localhost fails: something else", "ssh -v me@localhost true"),
    ],
)
def test_a_log_in_that_fails(
    far: db.StorageNode, remote_shell: Any, says: str, text: str, advised: str
) -> None:
    """What ssh says is passed on, with what to do about it."""
    remote_shell(f"#!/bin/sh\necho '{says}' >&2\nexit 255\n")
    finding = problem(found())
    assert (finding.what, finding.text) == ("log-in", text)
    assert advised in finding.advice


def test_a_key_that_is_not_here(far: db.StorageNode, tmp_path: Path) -> None:
    """ssh itself would silently try others."""
    (tmp_path / "conf").write_text("daemon:\n  remote_shell: ssh\n")
    config.load_config(tmp_path / "conf", cli=True)
    change(far, io_config='{"ssh_identity": "/nowhere/key"}')
    finding = problem(found())
    assert "the key /nowhere/key (ssh_identity) cannot be read here" in finding.text


def test_a_log_in_that_hangs(
    far: db.StorageNode, remote_shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote_shell("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(routes, "LIMIT_S", 0.3)
    finding = problem(found())
    assert finding.what == "log-in"
    assert "no answer within 0.3 s" in finding.text


def test_no_rsync_at_the_far_end(far: db.StorageNode) -> None:
    """Also where the I/O config says that it is somewhere else."""
    change(far, io_config='{"rsync_path": "/nowhere/rsync"}')
    finding = problem(found())
    assert finding.what == "rsync"
    assert "/nowhere/rsync at the far end: is not there" in finding.text
    assert "rsync_path" in finding.advice


def test_a_root_that_cannot_be_read(far: db.StorageNode) -> None:
    change(far, root="/nowhere")
    finding = problem(found())
    assert finding.what == "root"
    assert finding.text.startswith("/nowhere at the far end: ")


def test_a_root_that_is_another_node(far: db.StorageNode) -> None:
    (Path(far.root or "") / "ALPENHORN_NODE").write_text("other\n")
    assert 'is node "other", not far' in problem(found()).text


def test_a_log_in_that_spoils_what_is_sent(far: db.StorageNode, remote_shell: Any) -> None:
    remote_shell(LOGS_IN_HERE.replace('exec "$@"', '[ "$1" = cat ] && echo Welcome\nexec "$@"'))
    finding = problem(found())
    assert finding.what == "round trip"
    assert "came back changed" in finding.text


@pytest.mark.parametrize(
    ("took", "moving", "text"),
    [
        (4.0, 2.0, "about 1.000 MiB/s"),
        (4.0, 0.1, "more than 2.000 MiB/s"),
        (4.0, -0.5, "more than 2.000 MiB/s"),
    ],
)
def test_a_rate_that_cannot_be_told_from_the_log_in(took: float, moving: float, text: str) -> None:
    """2 MiB travel; no rate is made up from the difference of two log-ins."""
    assert routes._rate_text(took, moving) == text


@pytest.mark.slow
def test_a_line_that_is_slow(
    far: db.StorageNode, remote_shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be meant to be: a warning."""
    hangs = LOGS_IN_HERE.replace('exec "$@"', '[ "$1" = cat ] && exec sleep 60\nexec "$@"')
    remote_shell(hangs)
    monkeypatch.setattr(routes, "LIMIT_S", 3.0)
    finding = found()["round trip"]
    assert (finding.status, finding.text) == (Status.WARNING, "1.000 MiB not back within 3 s")


def test_an_inactive_source_is_not_logged_in_to(far: db.StorageNode, remote_shell: Any) -> None:
    change(far, active=False)
    remote_shell("#!/bin/sh\nexit 1\n")
    findings = found()
    assert findings["active"].text == "no: nothing is copied from far; pending requests: 1"
    assert len(findings) == 1
