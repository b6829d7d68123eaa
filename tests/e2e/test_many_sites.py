"""The page "From one machine to many sites", done: accounts, grants, copy, new URL, go on."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import peewee as pw
import pytest
from playhouse import db_url

from e2e.hosts import Host, Site, daemon_command
from servers import MariaDB, PostgreSQL, Server, Unavailable

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "many-sites.md").read_text()
PASSWORD = "..."
"""As the page writes it."""


@pytest.fixture(params=[MariaDB, PostgreSQL], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    try:
        server: Server = request.param()
    except Unavailable as why:
        pytest.skip(str(why))
    server.start()
    yield server
    server.remove()


def set_up(server: Server) -> None:
    """Run the page's SQL for this server; psql's ``\\connect`` changes database and account."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    (block,) = [block for block in blocks if ("\\connect" in block) == (server.name == "postgres")]
    for number, part in enumerate(re.split(r"\\connect .*\n", block)):
        url = url_as(server, "alpenhorn_admin") if number else server.url(server.admin_database)
        admin = db_url.connect(url)
        for statement in filter(None, map(str.strip, part.split(";"))):
            admin.execute_sql(statement.replace("%", "%%"))  # it is a format for the drivers
        admin.close()


def url_as(server: Server, account: str) -> str:
    """The URL of the page's database for one of its accounts, without the password."""
    return re.sub(r"//\w+@", f"//{account}@", server.url("alpenhorn"))


def import_one(site: Site, host: Host, path: str) -> None:
    target = host.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{path}\n")
    site.do("node", "scan", "telescope", "--register-new")
    done = site.run(daemon_command(host.conf, "--once"))
    assert done.code == 0, done.stderr
    assert f'Imported file copy "{path}" on node "telescope".' in done.stderr, done.stderr


def test_a_site_moves_to_a_server_and_goes_on(
    new_site: Callable[..., Site], server: Server, tmp_path: Path
) -> None:
    """All its files are known there, to an account that can do no more than it needs."""
    site = new_site("telescope")
    host = site["telescope"]
    (host.root / "ALPENHORN_NODE").write_text("telescope\n")
    words = (f"--root={host.root}", "--host=telescope", "--activate")
    site.do("node", "create", "telescope", "--create-group", *words)
    import_one(site, host, "2025/02/21/meta.txt")
    set_up(server)

    site.do("db", "check")
    site.environment["ALPENHORN_DATABASE_PASSWORD"] = PASSWORD
    site.do("db", "copy", site.index_url, url_as(server, "alpenhorn_admin"))
    admin = tmp_path / "admin.conf"
    admin.write_text(f"database:\n  url: {url_as(server, 'alpenhorn_admin')}\n")
    set_up_extension = "import pattern_importer; pattern_importer.demo_init()"
    done = site.run(
        [sys.executable, "-c", set_up_extension], environment={"ALPENHORN_CONFIG_FILE": str(admin)}
    )
    assert done.stdout == "Plugin init complete.\n", done.stderr
    del site.environment["ALPENHORN_DATABASE_PASSWORD"]

    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    for conf in (site.shell_conf, host.conf):
        new = f"{url_as(server, 'alpenhorn')}\n  password_file: {tmp_path / 'password'}"
        conf.write_text(conf.read_text().replace(site.index_url, new))
    site.index.rename(tmp_path / "index.old")

    assert "2025/02/21/meta.txt" in site.do("file", "list", "--node=telescope")
    site.do("db", "check")
    doctor = [sys.executable, "-m", "alpenhorn", "--conf", str(host.conf), "doctor", "--json"]
    found = json.loads(site.run([*doctor, "--no-routes"]).stdout)
    problems = [item for item in found["findings"] if item["status"] == "problem"]
    assert problems == []
    import_one(site, host, "2025/02/21/23/1324.dat")
    account = db_url.connect(url_as(server, "alpenhorn"), password=PASSWORD)
    with pytest.raises(pw.PeeweeException, match=r"denied|must be owner"):
        account.execute_sql("DROP TABLE archivefilecopy")
    account.close()
