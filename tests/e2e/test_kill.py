"""kill -9 at any moment loses nothing, leaves nothing lying about, and repeats nothing.

Each test kills real daemons in the middle of bulk work, at moments that depend on a seed, starts
them again, and then compares the index with what is on the disks.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from e2e.hosts import Log, Site

HOSTS = ("alpenhost1", "alpenhost2", "alpenhost3")
ACQ = "2025/02/21"
NOW = "2025-02-21 00:00:00"

NewSite = Callable[..., Site]


def contents(count: int, seed: int) -> dict[str, bytes]:
    """Data files by path, as the walkthrough names them; no two alike, in several directories."""
    rng = random.Random(seed)
    names = [f"{n // 3600:02}/{n // 60 % 60:02}{n % 60:02}.dat" for n in range(0, 86_000, 41)]
    return {f"{ACQ}/{name}": name.encode() + rng.randbytes(60) for name in names[:count]}


def write(root: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def make_nodes(site: Site, kind: str = "F") -> None:
    """A node on each host, initialised and active; the second and third of type `kind`."""
    for number, host in enumerate(HOSTS, 1):
        name = f"node{number}"
        words = ("--create-group", f"--root={site[host].root}", f"--host={host}", "--activate")
        archive = ("--archive",) if kind == "A" and number > 1 else ()
        log_in = ("--username=root", f"--address={host}")
        site.do("node", "create", name, *words, *log_in, *archive)
        (site[host].root / "ALPENHORN_NODE").write_text(f"{name}\n")


def register(site: Site, files: dict[str, bytes], *nodes: str) -> None:
    """Record files in the index as present on nodes."""
    connection = sqlite3.connect(site.index, timeout=30)
    with connection:
        acq = connection.execute("INSERT INTO archiveacq (name) VALUES (?)", (ACQ,)).lastrowid
        connection.executemany(
            "INSERT INTO archivefile (acq_id, name, size_b, md5sum, registered)"
            " VALUES (?, ?, ?, ?, ?)",
            [
                (acq, path.removeprefix(f"{ACQ}/"), len(data), md5(data), NOW)
                for path, data in files.items()
            ],
        )
        for node in nodes:
            connection.execute(
                "INSERT INTO archivefilecopy (file_id, node_id, has_file, wants_file, ready,"
                " last_update) SELECT archivefile.id, storagenode.id, 'Y', 'Y', 1, ?"
                " FROM archivefile, storagenode WHERE storagenode.name = ?",
                (NOW, node),
            )
    connection.close()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def present(site: Site, node: str) -> int:
    return count(site, node, "YY")


def count(site: Site, node: str, states: str) -> int:
    """How many copies on a node have these two state letters."""
    return site.value(
        "SELECT count(*) FROM archivefilecopy copy JOIN storagenode node ON copy.node_id = node.id"
        " WHERE node.name = ? AND copy.has_file || copy.wants_file = ?",
        node,
        states,
    )


def names(root: Path) -> list[Path]:
    """All files and directories below a root; what vanishes meanwhile does not matter."""
    return [Path(top, name) for top, dirs, files in os.walk(root) for name in dirs + files]


def on_disk(root: Path) -> dict[str, bytes]:
    """Everything below a root but directories and the node file."""
    files = {str(path.relative_to(root)): path for path in names(root) if path.is_file()}
    files.pop("ALPENHORN_NODE")
    return {name: path.read_bytes() for name, path in files.items()}


def leftovers(root: Path) -> list[Path]:
    return [path for path in names(root) if path.name.startswith(".")]


def nothing_pending(site: Site) -> bool:
    copies = "SELECT count(*) FROM archivefilecopyrequest WHERE completed = 0 AND cancelled = 0"
    scans = "SELECT count(*) FROM archivefileimportrequest WHERE completed = 0"
    return site.value(copies) == 0 and site.value(scans) == 0


def assert_no_duplicates(site: Site) -> None:
    for what, table in (
        ("file_id, node_id", "archivefilecopy"),
        ("acq_id, name", "archivefile"),
        ("file_id, node_from_id, group_to_id", "archivefilecopyrequest"),
    ):
        doubled = f"SELECT {what} FROM {table} GROUP BY {what} HAVING count(*) > 1"
        assert site.rows(doubled) == []


def assert_no_traceback(site: Site) -> None:
    for host in HOSTS:
        errors = Log(line for line in site.log(host) if line.level in ("ERROR", ""))
        assert not any(line.text.startswith("Traceback") for line in errors), str(errors)


def kill_and_restart(
    site: Site,
    host: str,
    done: Callable[[], int],
    least: int,
    of: int,
    ready: Callable[[], bool] = lambda: True,
) -> bool:
    """Kill a daemon when so much is done (and `ready`), or everything; and start it again.

    Returns:
        Whether there was something left to do when it died.
    """

    def now() -> bool:
        return done() >= of or (done() >= least and ready())

    site.wait(now, what=f"{least} of {of}", every=0.01)
    site.kill9(host)
    left = done() < of
    site.start(host)
    return left


@pytest.mark.parametrize("seed", [1, 2])
def test_kill9_of_each_daemon_in_the_middle_of_a_sync(new_site: NewSite, seed: int) -> None:
    """2,000 files travel from 1 to 2 and, by auto-sync, on to 3; each daemon is killed once."""
    rng = random.Random(seed)
    files = contents(2000, seed)
    site = new_site(*HOSTS, batch_files=rng.choice([100, 250]))
    make_nodes(site)
    site.do("group", "autosync", "node3", "node2")
    write(site["alpenhost1"].root, files)
    register(site, files, "node1")
    site.do("node", "sync", "--force", "node1", "node2")
    site.start(*HOSTS)
    in_the_middle = []
    for n, host in enumerate(rng.sample(HOSTS, 3)):
        node = "node3" if host == "alpenhost3" else "node2"
        least = rng.randrange(1, 300) + 300 * n
        root = site[host].root

        def transferring(host: str = host, root: Path = root) -> bool:
            return host == "alpenhost1" or any(root.glob(".*"))

        done = partial(present, site, node)
        in_the_middle.append(kill_and_restart(site, host, done, least, 2000, transferring))
    assert any(in_the_middle), "killed too late"
    site.wait(lambda: present(site, "node2") == present(site, "node3") == 2000, timeout=60)
    site.wait(lambda: nothing_pending(site))
    for host in HOSTS[1:]:  # each start begins with a tidy-up
        site.stop(host)
        site.start(host)
    for host in HOSTS:
        site.wait(lambda host=host: not leftovers(site[host].root), what=f"a tidy {host}")
        assert on_disk(site[host].root) == files
    assert present(site, "node1") == 2000
    assert_no_duplicates(site)
    assert_no_traceback(site)


@pytest.mark.parametrize("seed", [1, 2])
def test_kill9_in_the_middle_of_a_deletion(new_site: NewSite, seed: int) -> None:
    """500 files that two archives hold are deleted; none of the protecting copies suffers."""
    rng = random.Random(seed)
    files = contents(500, seed)
    site = new_site(*HOSTS, batch_files=rng.choice([10, 20]), num_workers=1)
    make_nodes(site, kind="A")
    write(site["alpenhost1"].root, files)
    register(site, files, "node1", "node2", "node3")
    site.change(
        "UPDATE archivefilecopy SET wants_file = 'N' WHERE node_id ="
        " (SELECT id FROM storagenode WHERE name = 'node1')"
    )
    site.start("alpenhost1")
    gone = partial(count, site, "node1", "NN")
    kills = [kill_and_restart(site, "alpenhost1", gone, least, 500) for least in (20, 150)]
    assert any(kills), "killed too late"
    site.wait(lambda: count(site, "node1", "NN") == 500)
    assert on_disk(site["alpenhost1"].root) == {}
    assert present(site, "node2") == present(site, "node3") == 500
    evidence = "SELECT count(DISTINCT copy_id) FROM alpenhorn_deletion WHERE removed IS NOT NULL"
    assert site.value(evidence) == 500
    assert_no_duplicates(site)
    assert_no_traceback(site)


@pytest.mark.parametrize("seed", [3])
def test_kill9_in_the_middle_of_an_import(new_site: NewSite, seed: int) -> None:
    """A scan of 2,000 files: every file is registered once, with its own MD5 and its type."""
    rng = random.Random(seed)
    files = contents(2000, seed)
    site = new_site(*HOSTS, batch_files=100)
    make_nodes(site)
    write(site["alpenhost1"].root, files)
    site.do("node", "scan", "node1", "--register-new")
    site.start("alpenhost1")
    kills = []
    for least in sorted(rng.sample(range(1, 1200), 2)):
        kills.append(
            kill_and_restart(site, "alpenhost1", partial(present, site, "node1"), least, 2000)
        )
        if nothing_pending(site):
            assert present(site, "node1") == 2000, "the request was completed before its work"
    assert any(kills), "killed too late"
    site.wait(lambda: present(site, "node1") == 2000)
    site.wait(lambda: nothing_pending(site))
    rows = site.rows("SELECT name, size_b, md5sum FROM archivefile")
    assert sorted(rows) == sorted(
        (path.removeprefix(f"{ACQ}/"), len(data), md5(data)) for path, data in files.items()
    )
    assert site.value("SELECT count(*) FROM filedata") == 2000, "the callback is in the transaction"
    assert on_disk(site["alpenhost1"].root) == files
    assert_no_duplicates(site)
    assert_no_traceback(site)


def test_kill9_cuts_a_chain_of_auto_actions_and_nobody_asks_again(new_site: NewSite) -> None:
    """Import on 1, auto-sync to two archives, auto-clean of 1; each daemon is killed on the way."""
    files = contents(300, seed=8)
    site = new_site(*HOSTS, batch_files=40, update_interval=2)
    make_nodes(site, kind="A")
    for node in ("node2", "node3"):
        site.do("group", "autosync", node, "node1")
    site.do("node", "autoclean", "node1", "node3")
    write(site["alpenhost1"].root, files)
    site.do("node", "scan", "node1", "--register-new")
    site.start(*HOSTS)
    gone = partial(count, site, "node1", "NN")
    known = "SELECT count(*) FROM archivefile"
    kills = [
        kill_and_restart(site, "alpenhost1", lambda: site.value(known), 20, 300),
        kill_and_restart(site, "alpenhost3", partial(present, site, "node3"), 20, 300),
        kill_and_restart(site, "alpenhost2", partial(present, site, "node2"), 60, 300),
        kill_and_restart(site, "alpenhost1", gone, 20, 300),
    ]
    assert any(kills), "killed too late"
    site.wait(lambda: present(site, "node2") == present(site, "node3") == 300)
    site.wait(lambda: gone() == 300, what="the end of the chain")
    site.wait(lambda: nothing_pending(site))
    assert on_disk(site["alpenhost1"].root) == {}
    for host in HOSTS[1:]:
        held = on_disk(site[host].root)
        assert {path: held.get(path) for path in files} == files
    assert_no_duplicates(site)
    assert_no_traceback(site)


def test_kill9_cuts_a_bulk_verification_and_nobody_asks_again(new_site: NewSite) -> None:
    files = contents(1500, seed=9)
    site = new_site(*HOSTS, batch_files=1500, update_interval=2)
    make_nodes(site)
    write(site["alpenhost1"].root, files)
    register(site, files, "node1")
    bad = sorted(files)[::100]
    for path in bad:
        (site["alpenhost1"].root / path).write_bytes(bytes(len(files[path])))
    site.do("node", "verify", "node1", "--all", "--force")
    assert count(site, "node1", "MY") == 1500
    site.start("alpenhost1")

    def verified() -> int:
        return 1500 - count(site, "node1", "MY")

    kills = [kill_and_restart(site, "alpenhost1", verified, least, 1500) for least in (1, 500)]
    assert any(kills), "killed too late"
    site.wait(lambda: verified() == 1500)
    states = site.states("node1")
    assert {path for path, state in states.items() if state == "XY"} == set(bad)
    assert present(site, "node1") == 1500 - len(bad)
    assert_no_traceback(site)
