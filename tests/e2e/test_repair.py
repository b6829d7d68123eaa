"""Bit rot is found, repaired and told, with real daemons and rsync; too few copies are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from e2e.hosts import Site

FILE = "2025/02/21/meta.txt"
GOOD, ROTTEN = b"the only bytes\n", b"the 0nly bytes\n"

NewSite = Callable[..., Site]


def rot(site: Site, host: str) -> None:
    """Change a bit on the medium: size and time stay what they are."""
    path = site[host].root / FILE
    status = path.stat()
    path.write_bytes(ROTTEN)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def site(new_site: NewSite) -> Site:
    """A file on host1 that was copied to host2."""
    site = new_site("host1", "host2", update_interval=1)
    for n, kind in ((1, "field"), (2, "archive")):
        root = site[f"host{n}"].root
        options = ["--create-group", f"--{kind}", "--init", "--activate"]
        options += [f"--host=host{n}", f"--address=host{n}", f"--root={root}"]
        site.do("node", "create", f"node{n}", *options, "--username=me")
    path = site["host1"].root / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(GOOD)
    site.do("file", "import", "--register-new", FILE, "node1")
    site.start("host1", "host2")
    site.wait(lambda: site.states("node1").get(FILE) == "YY")
    site.do("file", "sync", FILE, "--from", "node1", "--to", "node2")
    site.wait(lambda: site.states("node2").get(FILE) == "YY")
    return site


def test_bit_rot_is_found_and_repaired(site: Site) -> None:
    rot(site, "host2")
    site.do("file", "verify", FILE, "node2")
    site.wait(lambda: site.states("node2")[FILE] == "XY")
    assert "Requested 1 transfer." in site.do("node", "repair", "node2", "--force")
    site.wait(lambda: site.states("node2")[FILE] == "YY")
    assert (site["host2"].root / FILE).read_bytes() == GOOD
    told = json.loads(site.do("file", "history", FILE, "--json"))
    done = [event["outcome"] for event in told["events"] if event["event"] == "transfer"]
    assert done == ["done", "done"]
    (copy,) = [copy for copy in told["copies"] if copy["node"] == "node2"]
    assert copy["failed"] < copy["verified"]


def test_a_group_repairs_itself(site: Site) -> None:
    site.do("group", "modify", "node2", "--auto-repair")
    rot(site, "host2")
    site.do("file", "verify", FILE, "node2")
    site.wait(lambda: (site["host2"].root / FILE).read_bytes() == GOOD)
    site.wait(lambda: site.states("node2")[FILE] == "YY")


def test_what_nobody_has_any_more_ends_with_status_1(site: Site) -> None:
    for n in (1, 2):
        rot(site, f"host{n}")
        site.do("file", "verify", FILE, f"node{n}")
    site.wait(lambda: [site.states(f"node{n}")[FILE] for n in (1, 2)] == ["XY", "XY"])
    done = site.cli("node", "repair", "--all", "--force")
    assert done.code == 1
    assert "Cannot repair 2 files: no healthy copy anywhere." in done.stdout


def test_a_daemon_that_would_delete_with_one_copy_does_not_start(new_site: NewSite) -> None:
    site = new_site("host1", archive_copy_count=1)
    site["host1"].start()
    assert site["host1"].end() == 1
    (line,) = [line for line in site["host1"].log_path.read_text().splitlines() if "Error" in line]
    assert "too small to guarantee archive integrity" in line
    site["host1"].start("--disable-archive-integrity", "--once")
    assert site["host1"].end() == 0
