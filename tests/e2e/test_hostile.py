"""Hostile names, rows and links, through real daemons, the real rsync and a real ssh server.

The tests print the outcome of each input (``pytest -s``); docs/safety.md has the table.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.hosts import Site
from e2e.test_kill import md5, on_disk, write
from e2e.test_ssh_routes import attempts, node, pending, runtime, sshd  # noqa: F401
from sshd import Sshd

NewSite = Callable[..., Site]

DETECT = """
from alpenhorn.extensions import ImportDetectExtension


def detect(path, node):
    return (path.parts[0], None) if len(path.parts) > 1 else (None, None)


def register_extensions():
    return [ImportDetectExtension("First directory", "1.0", detect=detect)]
"""

TRAVELS = {
    "blanks": "with blanks in it",
    "blanks at the ends": " blanks ",
    "quotes": 'quote\'s "double" `back`',
    "star": "star*",
    "question mark": "question?",
    "brackets": "[x]",
    "backslash": "back\\slash",
    "rsync's escape": "\\#012",
    "leading dash": "-leading",
    "option": "--delete",
    "remote option": "-e sh -c touch${IFS}owned",
    "comment": "#comment",
    "filter": "- *",
    "semicolon": "; touch owned",
    "substitution": "$HOME $(touch owned)",
    "tilde": "~",
    "host": "host:path",
    "rsync daemon": "host::module",
    "255 bytes": "x" * 251 + ".dat",
    "255 bytes of UTF-8": "ü" * 127 + "x",
    "NFC": unicodedata.normalize("NFC", "Grün.dat"),
    "NFD": unicodedata.normalize("NFD", "Grün.dat"),
    "upper case": "CASE.dat",
    "lower case": "case.dat",
    "our own mark": "a/./b".replace("/./", "%2f.%2f"),
    "right-to-left": "a\u202etad.b",
    "percent": "%U%s{0}",
    "odd directory": "-x */[y]/in odd directories",
}
"""Names that are imported, transferred, checked and deleted like any other."""

REFUSED = {
    "newline": "new\nline",
    "tab": "tab\there",
    "escape sequence": "\x1b[31mred",
    "line separator": "line\u2028separator",
    "no UTF-8": os.fsdecode(b"latin-1 \xfc\xff"),
}
"""Names that the index does not take: files of such names are left where they are."""

DECOYS = ["star1", "starry", "question1", "x", "y", "backslash", "leading", "tmp"]
"""What wildcards would hit."""


@pytest.fixture
def site(new_site: NewSite, sshd: Sshd, runtime: Path) -> Iterator[Site]:  # noqa: F811
    """Node src, reached by ssh, and node dst, each with the daemon of its host."""
    site = new_site("alpenhost1", "alpenhost2", remote_shell="ssh")
    (site.path / "first_directory.py").write_text(DETECT)
    for host in site.hosts.values():
        host.conf.write_text(host.conf.read_text().replace("pattern_importer", "first_directory"))
    site.environment |= {
        "PATH": f"{sshd.bin}:{os.environ['PATH']}",
        "PYTHONPATH": f"{site.path}:{site.environment['PYTHONPATH']}",
        "XDG_RUNTIME_DIR": str(runtime),
    }
    for name in ("SSH_AUTH_SOCK", "RUNTIME_DIRECTORY"):
        site.environment.pop(name, None)
    node(site, "dst", "alpenhost2")
    node(site, "src", "alpenhost1", sshd)
    yield site
    assert not list(site.path.rglob("owned"))
    for name in site.hosts:
        assert not any("Traceback" in line.text for line in site.log(name))


def print_table(title: str, outcomes: dict[str, str]) -> None:
    print(f"\n{title}")
    for what, outcome in outcomes.items():
        print(f"  {what:32} {outcome}")


def test_every_name_is_handled_literally_or_refused(site: Site) -> None:
    """Import, transfer, check and deletion of each name touch that file and no other."""
    files = {
        f"acq/{name}": f"content of {what}".encode() for what, name in (TRAVELS | REFUSED).items()
    }
    good = {f"acq/{name}": files[f"acq/{name}"] for name in TRAVELS.values()}
    decoys = {f"acq/{name}": b"decoy" for name in DECOYS}
    source, target = site["alpenhost1"].root, site["alpenhost2"].root
    write(source, files)
    write(target, decoys)

    site.do("node", "scan", "src", "acq", "--register-new")
    site.start("alpenhost1")
    site.wait(lambda: len(site.states("src")) >= len(good))
    assert site.states("src") == dict.fromkeys(good, "YY")
    outcomes = dict.fromkeys(TRAVELS, "imported") | dict.fromkeys(REFUSED, "not imported")

    site.do("node", "sync", "src", "dst", "--force")
    site.start("alpenhost2")
    site.wait(lambda: len(site.states("dst")) >= len(good), timeout=60)
    site.wait(lambda: not pending(site))
    assert site.states("dst") == dict.fromkeys(good, "YY")
    assert on_disk(target) == good | decoys
    assert attempts(site) == []

    site.do("node", "verify", "dst", "--all", "--force")
    site.wait(lambda: set(site.states("dst").values()) == {"YY"}, timeout=60)

    protect(site)
    site.do("node", "clean", "dst", "--now", "--force")
    site.wait(lambda: site.states("dst") == dict.fromkeys(good, "NN"), timeout=60)
    assert on_disk(target) == decoys
    site.stop("alpenhost1", "alpenhost2")
    assert on_disk(source) == files
    outcomes |= dict.fromkeys(TRAVELS, "imported, transferred, checked, deleted; no other file")
    print_table("Names", outcomes)


def protect(site: Site) -> None:
    """Say that two archive nodes elsewhere have everything."""
    for number in (1, 2):
        words = ["--create-group", f"--host=vault{number}", "--root=/vault", "--archive"]
        site.do("node", "create", f"vault{number}", *words, "--activate")
        add_copies(site, f"vault{number}", "YY")


def add_copies(site: Site, name: str, states: str, like: str = "%") -> None:
    site.change(
        "INSERT INTO archivefilecopy (file_id, node_id, has_file, wants_file, ready, last_update)"
        " SELECT file.id, node.id, ?, ?, 1, '2025-02-21' FROM archivefile file, storagenode node"
        " WHERE node.name = ? AND file.name LIKE ?",
        states[0],
        states[1],
        name,
        like,
    )


def add_file(site: Site, name: str, data: bytes) -> None:
    """A row as a hostile program would write it."""
    site.change("INSERT OR IGNORE INTO archiveacq (name) VALUES ('acq')")
    site.change(
        "INSERT INTO archivefile (acq_id, name, size_b, md5sum, registered)"
        " SELECT id, ?, ?, ?, '2025-02-21' FROM archiveacq",
        name,
        len(data),
        md5(data),
    )


def request_all(site: Site) -> None:
    site.change(
        "INSERT INTO archivefilecopyrequest (file_id, group_to_id, node_from_id, completed,"
        " cancelled, timestamp) SELECT file.id, dst.group_id, src.id, 0, 0, '2025-02-21'"
        " FROM archivefile file, storagenode dst, storagenode src"
        " WHERE dst.name = 'dst' AND src.name = 'src'"
    )


SECRET = b"a secret outside of the root"
ROWS = {
    "..": "../../../outside/secret",
    ".. in the middle": "a/../../../outside/secret",
    "absolute": "{outside}/secret",
    "NUL": "secret\0.dat",
    ". in the middle": "a/./secret",
    "linked file": "linked-file",
    "linked directory": "linked-directory/secret",
    "linked directory, deeper": "linked-directory/deeper/secret",
}


def test_rows_and_links_lead_nowhere(site: Site) -> None:
    """Pull, check and deletion of a row that leads out of the root touch nothing there."""
    outside = site.path / "outside"
    write(outside, {"secret": SECRET, "deeper/secret": SECRET})
    kept = facts(outside)
    for host in site.hosts.values():
        (host.root / "acq").mkdir()
        (host.root / "acq/linked-file").symlink_to(outside / "secret")
        (host.root / "acq/linked-directory").symlink_to(outside)
    write(site["alpenhost1"].root, {"acq/good": b"good"})
    rows = {what: name.format(outside=outside) for what, name in ROWS.items()}
    for name in rows.values():
        add_file(site, name, SECRET)
    add_file(site, "good", b"good")
    add_copies(site, "src", "YY")

    # pull
    request_all(site)
    site.start("alpenhost2")
    site.wait(lambda: site.states("dst").get("acq/good") == "YY")
    site.wait(lambda: len(reasons(site)) == len(rows))
    told = reasons(site)
    outcomes = {}
    for what, name in rows.items():
        failure, message = told[name]
        assert message.isprintable()
        outcomes[what] = f"pull refused ({failure}): {message}"
    assert pending(site) == len(rows)
    links = {"linked directory", "linked directory, deeper"}
    assert all("is a link" in told[rows[what]][1] for what in links)
    states = site.states("src")
    suspect = {what for what in rows if states[f"acq/{rows[what]}"] != "YY"}
    assert suspect == {"linked file", ". in the middle"}, "there is no file of that name"
    assert list(on_disk_files(site["alpenhost2"].root)) == ["acq/good"]
    site.stop("alpenhost2")

    # check and delete
    site.change("DELETE FROM archivefilecopyrequest")
    site.change(
        "DELETE FROM archivefilecopy WHERE node_id = (SELECT id FROM storagenode"
        " WHERE name = 'dst')"
    )
    add_copies(site, "dst", "MY")
    site.start("alpenhost2")
    site.wait(lambda: site.states("dst")["acq/good"] == "YY")
    site.stop("alpenhost2")
    assert "YY" not in {site.states("dst")[f"acq/{name}"] for name in rows.values()}
    for what, name in rows.items():
        outcomes[what] += f"; check: {site.states('dst')[f'acq/{name}'][0]}"
    protect(site)
    site.change(
        "UPDATE archivefilecopy SET has_file = 'Y', wants_file = 'N' WHERE node_id ="
        " (SELECT id FROM storagenode WHERE name = 'dst')"
    )
    site.start("alpenhost2")
    site.wait(lambda: site.states("dst")["acq/good"] == "NN")
    site.stop("alpenhost2")
    assert facts(outside) == kept
    assert (site["alpenhost2"].root / "acq/linked-directory").is_symlink()

    # scan
    site.do("node", "scan", "src", "--register-new")
    site.do("node", "scan", "src", "acq/linked-directory", "--register-new")
    before = site.value("SELECT count(*) FROM archivefile")
    site.start("alpenhost1")
    site.wait(
        lambda: not site.value("SELECT count(*) FROM archivefileimportrequest WHERE completed = 0")
    )
    site.stop("alpenhost1")
    assert site.value("SELECT count(*) FROM archivefile") == before
    for what in outcomes:
        outcomes[what] += "; delete: nothing outside touched; scan: not followed"
    print_table("Rows and links that lead out of the root", outcomes)


def facts(directory: Path) -> dict[Path, tuple[int, int, bytes]]:
    """What would change if somebody wrote, replaced or removed a file."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


def reasons(site: Site) -> dict[str, tuple[str, str]]:
    return {
        name: (failure, message)
        for name, failure, message in site.rows(
            "SELECT file.name, failure, message FROM alpenhorn_attempt attempt"
            " JOIN archivefilecopyrequest request ON request.id = attempt.request_id"
            " JOIN archivefile file ON file.id = request.file_id WHERE failure IS NOT NULL"
        )
    }


def on_disk_files(root: Path) -> Iterator[str]:
    """Regular files below a root, without the node file and without following links."""
    for top, _, names in os.walk(root):
        for name in names:
            path = Path(top, name)
            if not path.is_symlink() and name != "ALPENHORN_NODE":
                yield str(path.relative_to(root))
