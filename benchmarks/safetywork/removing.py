"""Scenarios of deletion: is a file removed whose other copies are not there, or not wanted?"""

from __future__ import annotations

import time
from collections import Counter

from safetywork.disks import have_own_mounts
from safetywork.outcome import CannotRun, Outcome, bad_but_healthy, intact
from safetywork.site import Site, read

ARCHIVES = ("arch1", "arch2", "arch3")


def one_file_system(site: Site) -> Outcome:
    """(ii) Two archive nodes of one file system, on the host of the original, which is cleaned."""
    return _one_file_system(site, "hosta")


def one_file_system_elsewhere(site: Site) -> Outcome:
    """(ii) The same, with both archive nodes on another host than the original."""
    return _one_file_system(site, "hostb")


def _one_file_system(site: Site, archive_host: str) -> Outcome:
    if not have_own_mounts():
        raise CannotRun("needs two file systems, which only root can mount")
    site.node("src", "hosta")
    disk = site.disk("shared")
    for name in ARCHIVES[:2]:
        site.archive(name, archive_host, disk / name)
    true = site.register("src")
    site.start(*{"hosta", archive_host})
    for source, target in (("src", "arch1"), ("arch1", "arch2")):
        site.do("node", "sync", source, target, "--force")
        site.settle()
    site.do("node", "clean", "src", "--now", "--force")
    site.settle()
    nodes = ("src", *ARCHIVES[:2])
    files = [
        (site.roots[node] / path).stat() for node in nodes for path in site.contents(node, true)
    ]
    disks = len({status.st_dev for status in files})
    inodes = len({(status.st_dev, status.st_ino) for status in files})
    said = f"{intact(site, 'src', true)} of {len(true)} originals left; "
    said += f"{inodes / len(true):g} sets of data per file, on {disks} disk(s)"
    return Outcome(said + site.deaths(), disks >= 2 and intact(site, "src", true) == len(true))


def released_at_once(site: Site, rounds: int = 20) -> Outcome:
    """(iii) All three archive copies of 100 files are released at once under three daemons."""
    return _released_at_once(site, rounds)


def released_at_once_slowly(site: Site) -> Outcome:
    """(iii) The same, once, on disks that take 20 ms to remove a file."""
    return _released_at_once(site, 1, unlink_s=0.02)


def _released_at_once(site: Site, rounds: int, unlink_s: float = 0) -> Outcome:
    hosts = [f"host{name}" for name in ARCHIVES]
    for name, host in zip(ARCHIVES, hosts, strict=True):
        site.archive(name, host)
    left: Counter[int] = Counter()
    died = 0
    for number in range(rounds):
        true = site.register(*ARCHIVES, count=100, size_b=100, acq=f"2025/03/{number + 1:02}")
        dead = [h for h in hosts if h not in site.daemons or not site.daemons[h].alive]
        died += len(dead) if number else 0
        site.start(*dead, interval_s=0, SLOW_UNLINK_S=unlink_s)
        site.settle(quiet_s=0.3)
        site.index.change("UPDATE archivefilecopy SET wants_file = 'N' WHERE has_file = 'Y'")
        site.settle(quiet_s=1.5)
        holders = Counter(path for node in ARCHIVES for path in site.contents(node, true))
        left.update(holders[path] for path in true)
    counts = ", ".join(f"{left[n]} with {n or 'no'}" for n in range(4) if left[n])
    said = f"of {100 * rounds} files {counts} copies left"
    said += f"; daemons died {died} times" if died else ""
    return Outcome(said + site.deaths(), left[0] + left[1] == 0)


def cancelled_clean(site: Site) -> Outcome:
    """(vi) A clean is cancelled while most of the deletions wait in the queue."""
    site.node("src", "hosta")
    for name in ARCHIVES:
        site.archive(name, "hostb")
    true = site.register("src", *ARCHIVES, count=30)
    site.do("node", "clean", "src", "--now", "--force")
    site.start("hosta", workers=1, SLOW_UNLINK_S=0.3)
    site.wait(lambda: intact(site, "src", true) < len(true), "the first file is removed")
    answer = site.do("node", "clean", "src", "--cancel", "--force").splitlines()
    present = site.contents("src", true)
    wanted = [path for path, state in site.index.states("src").items() if state == "YY"]
    kept = [path for path in wanted if path in present]
    site.settle(quiet_s=10)  # longer than all the deletions take
    deleted = len(kept) - len(read(site.roots["src"], dict.fromkeys(kept, b"")))
    said = f"{len(present)} of {len(true)} files were there after the cancel, {len(kept)} of them "
    said += f"recorded as wanted again; {deleted} of these were deleted all the same; "
    said += f"the command said: {' '.join(answer)}"
    return Outcome(said + site.deaths(), deleted == 0 and len(kept) > 0)


def truncated_import(site: Site) -> Outcome:
    """(ix) Truncated files are imported under known names on two archive nodes; then the good
    copies are released."""
    site.node("src", "hosta")
    for name in ARCHIVES[:2]:
        site.archive(name, "hosta")
    true = site.register("src")
    for name in ARCHIVES[:2]:
        for path, data in true.items():
            target = site.roots[name] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data[: len(data) // 2])
        site.do("node", "scan", name)
    site.start("hosta")
    site.settle()
    bad = sum(bad_but_healthy(site, name, true) for name in ARCHIVES[:2])
    site.do("node", "clean", "src", "--now", "--force")
    site.settle()
    good = intact(site, "src", true)
    said = f"{bad} of {2 * len(true)} truncated copies recorded as healthy; "
    said += f"{good} of {len(true)} good copies left"
    return Outcome(said + site.deaths(), bad == 0 and good == len(true))


def unmounted_during_verification(site: Site) -> Outcome:
    """(x) The root is unmounted while its files are verified, and comes back."""
    site.node("src", "hosta")
    true = site.register("src", count=100)
    site.do("node", "verify", "src", "--healthy", "--force")
    site.start("hosta", SLOW_MD5_S=0.05)
    site.wait(lambda: "Beginning task Check" in site.daemons["hosta"].log, "a check begins")
    time.sleep(0.5)  # some checks of 50 ms
    platter = site.disks["src"].pull_out()
    site.settle()
    lost = sum(state[0] in "NX" for state in site.index.states("src").values())
    there = len(read(platter, true))
    site.disks["src"].plug_in()
    site.settle()
    healthy = sum(state == "YY" for state in site.index.states("src").values())
    said = f"{lost} of {there} intact files recorded as missing or corrupt; "
    said += f"{healthy} healthy after the disk came back"
    return Outcome(said + site.deaths(), lost == 0 and healthy == len(true))


def unmounted_during_deletion(site: Site) -> Outcome:
    """(x) The root is unmounted while files are deleted."""
    site.node("src", "hosta")
    for name in ARCHIVES:
        site.archive(name, "hostb")
    true = site.register("src", *ARCHIVES, count=100)
    site.do("node", "clean", "src", "--now", "--force")
    site.start("hosta", SLOW_UNLINK_S=0.05)
    site.wait(lambda: intact(site, "src", true) < len(true), "the first file is removed")
    platter = site.disks["src"].pull_out()
    site.settle()
    there = read(platter, true)
    states = site.index.states("src")
    forgotten = sum(states[path][0] == "N" for path in there)
    said = f"{forgotten} of {len(there)} files that are still on the disk recorded as removed"
    return Outcome(said + site.deaths(), forgotten == 0)
