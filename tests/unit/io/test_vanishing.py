"""A real medium that is unmounted, exchanged, made read-only or filled while the daemon works.

The tests mount a small tmpfs below their own directory; without the rights they are skipped.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db import operations
from alpenhorn.db.queries import pending
from alpenhorn.io.default.jobs import check
from alpenhorn.io.default.tree import Tree

COUNT = 20


class Medium:
    """A file system of its own at a node's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.mount()

    def mount(self, size: str = "1m") -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "alpenhorn", str(self.root)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("mounting a tmpfs needs root and mount(8)")

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.root)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.root)], check=True)

    def exchange(self, name: str) -> None:
        """Another medium, that calls itself the node's, takes its place."""
        self.unmount()
        self.mount()
        (self.root / "ALPENHORN_NODE").write_text(f"{name}\n")


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[Medium]:
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root and mount(8)")
    made = Medium(tmp_path / "node")
    yield made
    while os.path.ismount(made.root):
        made.unmount()


def after(count: int, what: Callable[[], None], function: Callable[..., Any]) -> Any:
    """A function that does `what` once, after so many calls."""
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        result = function(*args, **kwargs)
        calls += 1
        if calls == count:
            what()
        return result

    return wrapped


VANISHING: dict[str, Callable[[Medium], None]] = {
    "unmounted": Medium.unmount,
    "exchanged": lambda medium: medium.exchange("node"),
}


@pytest.mark.parametrize("how", VANISHING)
def test_a_root_that_vanishes_during_verification_makes_nothing_missing(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    io = site.node("node")
    copies = [site.put(io, f"acq/{n}", has="M") for n in range(COUNT)]
    monkeypatch.setattr(check, "_examine", after(7, lambda: VANISHING[how](medium), check._examine))
    io.check_many(copies)
    site.run()
    states = set(site.make.states(io.node).values())
    assert states <= {"YY", "MY"}, "neither missing nor corrupt"
    assert "MY" in states or len(states) == 1


@pytest.mark.parametrize("how", VANISHING)
def test_a_root_that_vanishes_during_deletion_removes_and_records_nothing_more(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    io = site.node("node")
    archives = [site.node(f"a{n}", storage_type="A", host=f"h{n}") for n in (1, 2)]
    copies = [site.put(io, f"acq/{n}", wants="N") for n in range(COUNT)]
    for copy in copies:
        site.protect(str(copy.file.path), *archives)
    monkeypatch.setattr(Tree, "unlink", after(7, lambda: VANISHING[how](medium), Tree.unlink))
    io.delete_many(copies)
    site.run()
    states = list(site.make.states(io.node).values())
    assert states.count("NN") == 7, "those that are certainly gone"
    assert states.count("YN") == COUNT - 7
    assert db.ArchiveFileCopy.select().where(db.ArchiveFileCopy.has_file == "M").count() == 0


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_disk_in_trouble_is_its_own_fault_and_the_work_is_done_when_it_is_mended(
    site: Any, medium: Medium, trouble: str
) -> None:
    io, source = site.node("node", storage_type="A"), site.node("src")
    group = site.group(io)
    data = {f"acq/{n}": os.urandom(20_000) for n in range(COUNT)}
    for path, content in data.items():
        site.put(source, path, content)
        site.make.request(path, source.node, "node")
    if trouble == "full":
        (medium.root / "ballast").write_bytes(bytes(800_000))
        io.reserve_factor = 0  # somebody else fills the disk after we have reserved
    else:
        medium.remount("ro")

    def a_pass() -> None:
        requests = pending.ready(group.group, 100)
        if requests:
            group.pull_many(requests, did_search=True)
        site.run()

    a_pass()
    failures = {row.failure for row in attempts()}
    assert failures - {None} == {"destination"}
    assert set(site.make.states(source.node).values()) == {"YY"}, "the source is not to blame"
    arrived = {path for path, state in site.make.states(io.node).items() if state == "YY"}
    assert all(site.read(io, path) == data[path] for path in arrived)
    medium.remount("rw,size=4m")
    (medium.root / "ballast").unlink(missing_ok=True)
    a_pass()
    assert site.make.states(io.node) == dict.fromkeys(data, "YY")
    assert all(site.read(io, path) == content for path, content in data.items())


def attempts() -> list[Any]:
    return list(operations.TransferAttempt.select())
