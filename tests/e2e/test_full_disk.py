"""A disk fills up while real daemons work: nothing wrong is recorded, and the work is done later.

The disks are small file systems of their own, which takes root and mount(8); else these tests are
skipped.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.hosts import Site
from e2e.test_kill import (
    assert_no_duplicates,
    contents,
    make_nodes,
    nothing_pending,
    on_disk,
    present,
    register,
    write,
)
from media import Medium

NewSite = Callable[..., Site]
# A way to the source that stops when a megabyte has passed, until it is told to go on.
_HALF_WAY = """#!{python}
import os, select, subprocess, sys, time

words = sys.argv[1:]
while words[0] == "-l":
    del words[:2]
sender = subprocess.Popen(words[1:], stdout=subprocess.PIPE)
passed = 0
while data := os.read(sender.stdout.fileno(), 1 << 16):
    passed += len(data)
    if passed > 1_000_000:
        open({half_way!r}, "w").close()
        while not os.path.exists({go_on!r}):
            time.sleep(0.02)
    while data:  # rsync has made its end one that does not wait
        select.select([], [1], [])
        try:
            data = data[os.write(1, data):]
        except BlockingIOError:
            pass
sys.exit(sender.wait())
"""

HOSTS = ("alpenhost1", "alpenhost2", "alpenhost3")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Medium]:
    with Medium(tmp_path / "disk", size="8m") as made:
        yield made


def assert_nothing_wrong_is_recorded(site: Site, files: dict[str, bytes]) -> None:
    """What the index calls present is there, with its bytes."""
    for number, host in enumerate(HOSTS, 1):
        held = on_disk(site[host].root)
        for path, state in site.states(f"node{number}").items():
            assert state == "YY"
            assert held[path] == files[path]
    known = site.rows("SELECT name, size_b, md5sum FROM archivefile")
    right = {
        (path.split("/", 3)[3], len(d), hashlib.md5(d).hexdigest()) for path, d in files.items()
    }
    assert set(known) <= right


@pytest.mark.parametrize("work", ["import", "pull"])
def test_the_index_has_no_space_left_in_the_middle_of_bulk_work(
    new_site: NewSite, disk: Medium, work: str
) -> None:
    """The daemons stay, say so, and go on when there is space again; nobody asks again."""
    files = contents(2000, seed=5)
    site = new_site(*HOSTS, index=disk.root / "index.db", batch_files=50, update_interval=1)
    make_nodes(site)
    write(site["alpenhost1"].root, files)
    if work == "import":
        site.do("node", "scan", "node1", "--register-new")
        worker, node = "alpenhost1", "node1"
    else:
        register(site, files, "node1")
        site.do("node", "sync", "--force", "node1", "node2")
        worker, node = "alpenhost2", "node2"
    site.start(worker)
    site.wait(lambda: present(site, node) >= 50, every=0.005)
    ballast = disk.fill()
    site.wait(lambda: "disk is full" in site[worker].log_path.read_text(), what="a line")
    assert present(site, node) < len(files), "filled too late"
    assert_nothing_wrong_is_recorded(site, files)
    ballast.unlink()
    site.wait(lambda: present(site, node) == len(files))
    site.wait(lambda: nothing_pending(site))
    assert_nothing_wrong_is_recorded(site, files)
    assert_no_duplicates(site)
    assert site[worker].stop() == 1  # what a regular stop gives: see `test_signals`
    assert sqlite3.connect(site.index).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "Traceback" not in site[worker].log_path.read_text()


def test_the_destination_has_no_space_left_in_the_middle_of_a_batch(
    new_site: NewSite, disk: Medium, tmp_path: Path
) -> None:
    """Files that found room are present, the others are told of by class, and come later."""
    site = new_site(*HOSTS[:2], update_interval=1)
    root = disk.root
    site["alpenhost2"].root = root
    for host, name in zip(HOSTS, ("node1", "node2"), strict=False):
        place = site[host].root
        words = ("--create-group", f"--root={place}", f"--host={host}", "--activate")
        site.do("node", "create", name, *words, "--username=root", f"--address={host}")
        (place / "ALPENHORN_NODE").write_text(f"{name}\n")
    files = {path: random.Random(path).randbytes(34_000) for path in contents(60, seed=6)}
    write(site["alpenhost1"].root, files)
    register(site, files, "node1")
    half_way, go_on = tmp_path / "half way", tmp_path / "go on"
    script = _HALF_WAY.format(python=sys.executable, half_way=str(half_way), go_on=str(go_on))
    site.remote_shell.write_text(script)
    site.do("node", "sync", "--force", "node1", "node2")
    site.start("alpenhost2")
    site.wait(half_way.exists)
    ballast = disk.fill()
    go_on.touch()
    site.wait(lambda: _failures(site) == {"destination"}, what="attempts that failed")
    assert set(site.states("node1").values()) == {"YY"}, "the source is not to blame"
    for path, state in site.states("node2").items():
        assert (state, (root / path).read_bytes()) == ("YY", files[path])
    assert len(site.states("node2")) < len(files), "filled too late"
    ballast.unlink()
    site.change("DELETE FROM alpenhorn_attempt")
    site.stop("alpenhost2")  # what rests after failures is tried at once by a new daemon
    site.start("alpenhost2")
    site.wait(lambda: present(site, "node2") == len(files))
    site.wait(lambda: nothing_pending(site))
    assert on_disk(root) == files


def _failures(site: Site) -> set[str]:
    rows = site.rows("SELECT DISTINCT failure FROM alpenhorn_attempt")
    return {failure for (failure,) in rows if failure}


def test_an_import_needs_no_space_on_the_disk_that_it_reads(
    new_site: NewSite, disk: Medium
) -> None:
    site = new_site("alpenhost1", update_interval=1)
    root = disk.root
    words = ("--create-group", f"--root={root}", "--host=alpenhost1", "--activate")
    site.do("node", "create", "node1", *words)
    (root / "ALPENHORN_NODE").write_text("node1\n")
    files = contents(40, seed=7)
    write(root, files)
    disk.fill()
    site.do("node", "scan", "node1", "--register-new")
    site.start("alpenhost1")
    site.wait(lambda: present(site, "node1") == len(files))
