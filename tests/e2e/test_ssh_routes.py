"""A real daemon, the real ssh and a real ssh server: what travels, over how many logins, and what a
route that cannot be used says."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sshd as servers
from e2e.hosts import Site
from e2e.test_kill import ACQ, contents, md5, on_disk, register, write
from sshd import Sshd

NewSite = Callable[..., Site]

DATA = b"some data\n"
FILE = f"{ACQ}/meta.txt"


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    try:
        with servers.running(tmp_path / "sshd") as server:
            yield server
    except servers.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A directory for sockets, whose names must be short."""
    with tempfile.TemporaryDirectory(prefix="run-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture
def site(new_site: NewSite, sshd: Sshd, runtime: Path) -> Site:
    """A node src, reached by ssh, and a node dst whose host's daemon pulls."""
    site = new_site("alpenhost1", "alpenhost2", remote_shell="ssh")
    site.environment |= {
        "PATH": f"{sshd.bin}:{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(runtime),
    }
    for name in ("SSH_AUTH_SOCK", "RUNTIME_DIRECTORY"):
        site.environment.pop(name, None)
    node(site, "dst", "alpenhost2")
    node(site, "src", "alpenhost1", sshd)
    return site


def node(site: Site, name: str, host: str, sshd: Sshd | None = None) -> None:
    """Make a node; with a server, one that is reached by ssh."""
    words = ["--create-group", f"--root={site[host].root}", f"--host={host}", "--activate"]
    if sshd is not None:
        words += [f"--username={sshd.user}", "--address=127.0.0.1"]
        words += [f"--io-var={key}={value}" for key, value in sshd.options.items()]
    site.do("node", "create", name, *words)
    (site[host].root / "ALPENHORN_NODE").write_text(f"{name}\n")


def ask_for(site: Site, files: dict[str, bytes], source: str = "src") -> None:
    write(site["alpenhost1"].root, files)
    register(site, files, source)
    site.do("node", "sync", source, "dst", "--force")


def attempts(site: Site) -> list[tuple[str, str]]:
    """What came of attempts that failed: class and message."""
    sql = "SELECT failure, message FROM alpenhorn_attempt WHERE failure IS NOT NULL ORDER BY id"
    return site.rows(sql)


def pending(site: Site) -> int:
    return site.value(
        "SELECT count(*) FROM archivefilecopyrequest WHERE completed = 0 AND cancelled = 0"
    )


def directories(site: Site) -> list[Path]:
    """Those of shared connections."""
    return list(Path(site.environment["XDG_RUNTIME_DIR"]).iterdir())


def test_a_sync_of_a_thousand_files_is_one_login(site: Site, sshd: Sshd) -> None:
    """sshd's own log is the witness."""
    files = contents(1000, seed=4)
    ask_for(site, files)
    site.start("alpenhost2")
    site.wait(lambda: len(site.states("dst")) == 1000 and not pending(site), timeout=120)
    assert set(site.states("dst").values()) == {"YY"}
    assert on_disk(site["alpenhost2"].root) == files
    assert sshd.logins() == 1
    assert sshd.log_path.read_text().count("Connection from ") == 1
    assert len(directories(site)) == 1
    site.stop("alpenhost2")
    assert directories(site) == []
    site.wait(lambda: "Disconnected from user" in sshd.log_path.read_text())


def test_few_files_share_a_login_too(site: Site, sshd: Sshd) -> None:
    """Up to 16 files are tasks of their own, with an rsync each, on two workers at once."""
    ask_for(site, contents(12, seed=5))
    site.start("alpenhost2")
    site.wait(lambda: len(site.states("dst")) == 12)
    assert sshd.logins() == 1


def test_a_killed_daemon_leaves_a_connection_that_ends_by_itself(site: Site, sshd: Sshd) -> None:
    ask_for(site, {FILE: DATA})
    site.start("alpenhost2")
    site.wait(lambda: site.states("dst") == {FILE: "YY"})
    [directory] = directories(site)
    [socket] = directory.iterdir()
    site.kill9("alpenhost2")
    site.start("alpenhost2")
    more = f"{ACQ}/more.txt"
    write(site["alpenhost1"].root, {more: DATA})
    site.change(
        "INSERT INTO archivefile (acq_id, name, size_b, md5sum, registered)"
        " SELECT id, 'more.txt', ?, ?, '2025-02-21' FROM archiveacq",
        len(DATA),
        md5(DATA),
    )
    site.change(
        "INSERT INTO archivefilecopy (file_id, node_id, has_file, wants_file, ready, last_update)"
        " SELECT max(archivefile.id), storagenode.id, 'Y', 'Y', 1, '2025-02-21'"
        " FROM archivefile, storagenode WHERE storagenode.name = 'src'"
    )
    site.do("node", "sync", "src", "dst", "--force")
    site.wait(lambda: site.states("dst").get(more) == "YY")
    site.stop("alpenhost2")
    end_holder(socket)
    assert directories(site) == [directory], "the next daemon has cleaned up what was its own"


def end_holder(socket: Path) -> None:
    """Do not wait a minute for the connection that the killed daemon has left."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(socket) in command and "mux" in command:
            os.kill(int(entry.name), signal.SIGTERM)


# ---- routes that cannot be used


def break_key(sshd: Sshd) -> None:
    sshd.refuse_key()


def break_known_hosts(sshd: Sshd) -> None:
    sshd.forget_host()


def break_host_key(sshd: Sshd) -> None:
    sshd.know_host(servers.make_key(sshd.directory / "stranger"))


def break_server(sshd: Sshd) -> None:
    sshd.stop()


def mend_key(sshd: Sshd) -> None:
    sshd.accept_key()


def mend_known_hosts(sshd: Sshd) -> None:
    sshd.know_host()


def mend_server(sshd: Sshd) -> None:
    sshd.start()


@pytest.mark.parametrize(
    ("broken", "mended", "said"),
    [
        (break_key, mend_key, "127.0.0.1 does not let "),
        (break_known_hosts, mend_known_hosts, "the host key of 127.0.0.1 is unknown: "),
        (break_host_key, mend_known_hosts, "127.0.0.1 has another host key than known_hosts says"),
        (break_server, mend_server, "127.0.0.1 refuses connections: "),
    ],
)
def test_a_route_that_cannot_be_used_says_so_and_works_again_when_mended(
    site: Site, sshd: Sshd, broken: Any, mended: Any, said: str
) -> None:
    """The source's copy stays good: nobody has seen its bytes."""
    broken(sshd)
    ask_for(site, {FILE: DATA})
    site.start("alpenhost2")
    failure, message = site.wait(lambda: attempts(site))[0]
    assert failure == "route"
    assert message.startswith(said)
    assert message.isprintable()
    assert site.states("src") == {FILE: "YY"}
    assert site.states("dst") == {}
    assert pending(site) == 1
    warnings = [line for line in site.log("alpenhost2") if line.level == "WARNING"]
    assert [line.text for line in warnings] == [f"Pull from src to dst failed (route): {message}"]
    assert sshd.logins() == 0
    mended(sshd)
    site.wait(lambda: site.states("dst") == {FILE: "YY"}, timeout=90)
    site.stop("alpenhost2")


def test_a_server_that_goes_away_in_the_middle_costs_no_copy_its_good_name(
    site: Site, sshd: Sshd
) -> None:
    files = {f"{ACQ}/{n}.dat": os.urandom(2_000_000) for n in range(20)}
    site.do("node", "modify", "src", "--io-var=bandwidth=4M")
    ask_for(site, files)
    site.start("alpenhost2")
    site.wait(lambda: sshd.logins() == 1)
    staged = site["alpenhost2"].root
    site.wait(lambda: any(path.stat().st_size for path in staged.rglob("*.dat")))
    sshd.crash()
    site.wait(lambda: attempts(site))
    assert {failure for failure, _ in attempts(site)} == {"route"}
    assert all("127.0.0.1" in message for _, message in attempts(site))
    assert set(site.states("src").values()) == {"YY"}
    site.do("node", "modify", "src", "--io-var=bandwidth=")
    sshd.start()
    site.wait(lambda: len(site.states("dst")) == 20, timeout=90)
    site.stop("alpenhost2")
    assert on_disk(site["alpenhost2"].root) == files


HOSTILE = {
    "option as address": ("address = '-oProxyCommand=touch owned'", "invalid address"),
    "command as address": ("address = 'localhost;touch owned'", "invalid address"),
    "blank in the user name": ("username = 'some body'", 'invalid user name "some body"'),
    "option as user name": ("username = '-oProxyCommand=touch owned'", "invalid user name"),
    "newline in the root": ("root = '/da' || char(10) || 'ta'", "control character"),
    "option as key": (
        """io_config = '{"ssh_identity": "-oProxyCommand=touch owned"}'""",
        "invalid ssh_identity",
    ),
    "command as rsync": ("""io_config = '{"rsync_path": "rsync;touch owned"}'""", "rsync_path"),
    "option as port": ("""io_config = '{"ssh_port": "-oProxyCommand=x"}'""", "invalid ssh_port"),
    "no timetable": ("""io_config = '{"bandwidth": "20M --rsh=touch owned"}'""", "is no rate"),
}


def test_hostile_rows_become_neither_options_nor_commands(site: Site, sshd: Sshd) -> None:
    """Each leaves its request pending with the reason; the daemon lives, and does the others'."""
    files = {f"{ACQ}/{name}": DATA for name in ("good", *HOSTILE, "new\nline")}
    write(site["alpenhost1"].root, files)
    register(site, files, "src")
    request = (
        "INSERT INTO archivefilecopyrequest (file_id, group_to_id, node_from_id, completed,"
        " cancelled, timestamp) SELECT file.id, dst.group_id, source.id, 0, 0, '2025-02-21'"
        " FROM archivefile file, storagenode dst, storagenode source"
        " WHERE dst.name = 'dst' AND file.name = ? AND source.name = ?"
    )
    for name, (assignment, _) in HOSTILE.items():
        node(site, name.replace(" ", "-"), "alpenhost1", sshd)
        bad = name.replace(" ", "-")
        site.change(f"UPDATE storagenode SET {assignment} WHERE name = ?", bad)
        site.change(
            "UPDATE archivefilecopy SET node_id = (SELECT id FROM storagenode WHERE name = ?)"
            " WHERE file_id = (SELECT id FROM archivefile WHERE name = ?)",
            bad,
            name,
        )
        site.change(request, name, bad)
    site.change(request, "new\nline", "src")
    site.start("alpenhost2")
    site.wait(lambda: len(attempts(site)) >= len(HOSTILE) + 1)
    site.change(request, "good", "src")
    site.wait(lambda: site.states("dst") == {f"{ACQ}/good": "YY"})

    reasons = dict(
        site.rows(
            "SELECT file.name, attempt.message FROM alpenhorn_attempt attempt"
            " JOIN archivefilecopyrequest request ON request.id = attempt.request_id"
            " JOIN archivefile file ON file.id = request.file_id WHERE failure = 'route'"
        )
    )
    assert set(reasons) == {*HOSTILE, "new\nline"}
    for name, (_, said) in HOSTILE.items():
        assert said in reasons[name]
    assert "control character in the path" in reasons["new\nline"]
    assert all(reason.isprintable() for reason in reasons.values())
    assert pending(site) == len(HOSTILE) + 1
    assert not list(site.path.rglob("owned"))
    site.stop("alpenhost2")
    assert not any("Traceback" in line.text for line in site.log("alpenhost2"))
