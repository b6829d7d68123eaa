"""Scenarios of data on its way: may bytes that are wrong be called good, or good ones bad?"""

from __future__ import annotations

from safetywork.outcome import Outcome, bad_but_healthy, intact, recorded
from safetywork.site import ACQ, Site, flip_bit


def bit_rot_in_the_source(site: Site) -> Outcome:
    """(i) One bit is flipped in a source; sync over ssh; look."""
    root = site.node("src", "hosta")
    site.archive("dst", "hostb")
    true = site.register("src")
    for path in true:
        flip_bit(root / path)
    site.do("node", "sync", "src", "dst", "--force")
    site.start("hosta", "hostb")
    site.settle()
    bad = bad_but_healthy(site, "dst", true)
    said = f"{bad} of {len(true)} corrupt copies recorded as healthy; source: "
    return Outcome(said + recorded(site, "src") + site.deaths(), bad == 0)


def bit_flipped_in_transit(site: Site) -> Outcome:
    """(viii) A wrapper around rsync flips a bit in whatever arrives."""
    site.node("src", "hosta")
    site.archive("dst", "hostb")
    true = site.register("src")
    site.spoil_rsync()
    site.do("node", "sync", "src", "dst", "--force")
    site.start("hosta", "hostb")
    site.settle(timeout_s=30)
    bad = bad_but_healthy(site, "dst", true)
    said = f"{bad} of {len(true)} damaged copies recorded as healthy; destination: "
    return Outcome(said + recorded(site, "dst") + site.deaths(), bad == 0)


def repair_by_sync(site: Site) -> Outcome:
    """(v) Copies rot with length and times unchanged, are found corrupt, and are synced again."""
    site.node("src", "hosta")
    root = site.archive("dst", "hostb")
    true = site.register("src", "dst")
    for path in true:
        flip_bit(root / path)
    site.do("node", "verify", "dst", "--healthy", "--force")
    site.start("hosta", "hostb")
    site.settle()
    found = recorded(site, "dst")
    site.do("node", "sync", "src", "dst", "--force")
    site.settle()
    repaired, bad = intact(site, "dst", true), bad_but_healthy(site, "dst", true)
    said = f"after the check {found}; after the sync {repaired} of {len(true)} repaired, "
    said += f"{bad} corrupt ones recorded as healthy"
    return Outcome(said + site.deaths(), repaired == len(true) and bad == 0)


def ssh_server_dies(site: Site) -> Outcome:
    """(iv) The ssh server dies during a sync, and comes back."""
    site.node("src", "hosta")
    site.archive("dst", "hostb")
    true = site.register("src", count=40, size_b=4_000_000)
    logins = site.server.logins()
    site.do("node", "sync", "src", "dst", "--force")
    site.start("hostb")
    site.wait(lambda: site.server.logins() > logins, "somebody logs in")
    site.server.crash()
    try:
        site.settle(timeout_s=30)
        arrived = intact(site, "dst", true)
        suspects = sum(state[0] != "Y" for state in site.index.states("src").values())
    finally:
        site.server.start()
    said = f"{suspects} of {len(true)} good source copies called suspect ({arrived} had arrived)"
    return Outcome(said + site.deaths(), suspects == 0)


def extension_raises(site: Site) -> Outcome:
    """(vii) An import-detect extension raises for one file; another file follows."""
    root = site.node("src", "hosta") / ACQ
    root.mkdir(parents=True)
    for name in ("poison", "good"):
        (root / name).write_text(name)
    site.do("file", "import", f"{ACQ}/poison", "src", "--register-new")
    site.start("hosta")
    site.settle()
    site.do("file", "import", f"{ACQ}/good", "src", "--register-new")
    site.settle()
    alive = site.daemons["hosta"].alive
    imported = site.index.states("src").get(f"{ACQ}/good") == "YY"
    said = f"the daemon {'is alive' if alive else 'has ended'}; "
    said += f"the next file was {'' if imported else 'not '}imported"
    return Outcome(said, alive and imported)
