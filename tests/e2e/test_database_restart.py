"""A database server that goes away is waited for: no work is lost, nothing is done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.hosts import Log, Site
from servers import SERVERS, Server, Unavailable

HOSTS = ("alpenhost1", "alpenhost2")
COUNT = 1200
AWAY = "waiting for the database."


class ServerSite(Site):
    """A site whose index is on a server of its own."""

    def __init__(self, path: Path, server: Server, *hosts: str, **daemon: Any) -> None:
        self.server = server
        self._url = server.new_database("site")
        super().__init__(path, *hosts, **daemon)

    @property
    def index_url(self) -> str:
        return self._url

    def rows(self, sql: str, *values: Any) -> list[Any]:
        with self.server.connection("site") as connection:
            return connection.execute_sql(sql, values).fetchall()

    def present(self, node: str) -> int:
        return self.value(
            "SELECT count(*) FROM archivefilecopy copy JOIN storagenode node"
            " ON copy.node_id = node.id WHERE node.name = %s AND copy.has_file = 'Y'",
            node,
        )

    def pending(self) -> int:
        copies = "SELECT count(*) FROM archivefilecopyrequest WHERE NOT completed AND NOT cancelled"
        imports = "SELECT count(*) FROM archivefileimportrequest WHERE NOT completed"
        return self.value(copies) + self.value(imports)

    def waits(self, host: str) -> bool:
        """Has the daemon of a host said that it waits?"""
        return any(line.text.endswith(AWAY) for line in self.log(host))


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerSite]:
    """Two hosts; what arrives on node1 is to be copied to node2."""
    try:
        server = SERVERS[request.param]()
        server.start()
    except Unavailable as error:
        pytest.skip(str(error))
    try:
        with ServerSite(tmp_path, server, *HOSTS, batch_files=50, update_interval=2) as site:
            site.init()
            for number, host in enumerate(HOSTS, 1):
                words = ("--create-group", f"--root={site[host].root}", f"--host={host}")
                log_in = ("--username=root", f"--address={host}", "--activate")
                site.do("node", "create", f"node{number}", *words, *log_in)
                (site[host].root / "ALPENHORN_NODE").write_text(f"node{number}\n")
            site.do("group", "autosync", "node2", "node1")
            yield site
    finally:
        server.remove()


def write_files(root: Path) -> dict[str, str]:
    """Write data files; returns their MD5 by name below the acquisition."""
    md5s = {}
    for number in range(COUNT):
        name = f"{number // 60 % 24:02}/{number // 1440:02}{number % 60:02}.dat"
        data = f"{number}\n".encode() * 20
        path = root / "2025/02/21" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        md5s[name] = hashlib.md5(data).hexdigest()
    return md5s


def test_a_server_that_restarts_in_the_middle_of_the_work(site: ServerSite) -> None:
    """Imports on one host and pulls into the other are under way when the server goes away."""
    md5s = write_files(site["alpenhost1"].root)
    site.do("node", "scan", "node1", "--register-new")
    site.start(*HOSTS)
    site.wait(lambda: site.present("node2") >= 50, what="the first pulls")
    assert site.present("node2") < COUNT, "stopped too late"
    site.server.stop()
    for host in HOSTS:
        site.wait(lambda host=host: site.waits(host), what=f"{host} to notice")
    site.server.start()
    site.wait(lambda: site.present("node2") == COUNT, timeout=90, what="all copies")
    site.wait(lambda: site.pending() == 0)
    assert dict(site.rows("SELECT name, md5sum FROM archivefile")) == md5s
    for host in HOSTS:
        root = site[host].root / "2025/02/21"
        assert {n: hashlib.md5((root / n).read_bytes()).hexdigest() for n in md5s} == md5s
        assert_calm(site.log(host))
        assert site[host].process.poll() is None, "the daemon has ended"


def assert_calm(log: Log) -> None:
    """The daemon waits with pauses, says so in single lines, and never shows a traceback."""
    assert not [line for line in log if line.level == ""], str(log[-60:])
    assert 1 <= sum(line.text.endswith(AWAY) for line in log) <= 8, "it should wait longer"
