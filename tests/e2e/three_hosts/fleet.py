"""Three daemons at work: what is written on the first host travels to the second and the third.

For the tests that disturb them. Nothing here sleeps for a fixed time: `Fleet.wait` looks until a
fact is true, or fails and shows the logs.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alpenhorn.demo.daemons import Daemons
from e2e.hosts import Finished, Log, parse
from e2e.three_hosts.server import DATABASE
from e2e.three_hosts.stage import Stage
from e2e.three_hosts.world import CONFIGURATION, HOSTS, World

# Passes more often, and transactions of fewer files, so that disturbances find something to do.
QUICK = CONFIGURATION.replace("update_interval: 10", "update_interval: 2\n    batch_files: 40")

PATIENCE_S = 60.0

NODES = ("node1", "node2", "node3")

_SET_UP = """\
alpenhorn db init
python -c 'import pattern_importer; pattern_importer.demo_init()'
alpenhorn node create node1 --create-group --root=/data --host=alpenhost1 \
    --username=root --address=alpenhost1 --init --activate
alpenhorn node create node2 --create-group --root=/data --host=alpenhost2 --archive \
    --username=root --address=alpenhost2 --init --activate
alpenhorn node create node3 --create-group --root=/data --host=alpenhost3 --archive \
    --username=root --address=alpenhost3 --init --activate
alpenhorn group autosync node2 node1
alpenhorn group autosync node3 node2
"""

# Each state that a copy was ever in, whoever wrote it, is kept; rolled back ones are not.
_AUDIT = """\
CREATE DATABASE audit;
CREATE TABLE audit.states (id INT AUTO_INCREMENT PRIMARY KEY,
    node_id INT, file_id INT, has_file CHAR(1), wants_file CHAR(1));
CREATE TRIGGER audit_insert AFTER INSERT ON archivefilecopy FOR EACH ROW
    INSERT INTO audit.states VALUES (0, NEW.node_id, NEW.file_id, NEW.has_file, NEW.wants_file);
CREATE TRIGGER audit_update AFTER UPDATE ON archivefilecopy FOR EACH ROW
    INSERT INTO audit.states VALUES (0, NEW.node_id, NEW.file_id, NEW.has_file, NEW.wants_file);
"""

_PATH = "acq.name || '/' || file.name"
_FILES = "archivefile file JOIN archiveacq acq ON file.acq_id = acq.id"


class Fleet:
    """The daemons, and what can be seen of their work."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.daemons = Daemons(Stage(world.home, world))
        for line in _SET_UP.replace("\\\n", "").splitlines():
            self.do(line)
        with world.server.connection(DATABASE) as connection:
            for statement in _AUDIT.split(";\n")[:-1]:
                connection.execute_sql(statement)
        for host in HOSTS:
            self.start(host)
        self.wait(lambda: all((world.data(host) / "ALPENHORN_NODE").exists() for host in HOSTS))

    # what is done

    def start(self, host: str) -> None:
        """Start the daemon of a host."""
        self.daemons.start(host)

    def alive(self) -> None:
        """Make sure that no daemon has ended."""
        self.daemons.check()

    def type(self, line: str) -> Finished:
        """Type a line at the shell."""
        words = self.world["alpenshell"].command(["/bin/bash", "-c", line])
        done = subprocess.run(words, input="", capture_output=True, text=True, timeout=60)
        return Finished(done.returncode, done.stdout, done.stderr)

    def do(self, line: str) -> str:
        """Type a line that must succeed; returns what it printed."""
        done = self.type(line)
        assert done.code == 0, f"{line}: {done}"
        return done.stdout

    def write(self, acq: str, count: int, size_b: int) -> dict[str, str]:
        """Write files of an acquisition onto the first host; returns their MD5 by path."""
        rng = random.Random(acq)
        md5s = {}
        for number in range(count):
            path = f"{acq}/{number // 3600:02}/{number // 60 % 60:02}{number % 60:02}.dat"
            data = rng.randbytes(size_b)
            target = self.world.data("alpenhost1") / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            md5s[path] = hashlib.md5(data).hexdigest()
        return md5s

    def send(self, acq: str, count: int, size_b: int) -> dict[str, str]:
        """Write files and ask for their import: all else follows by itself."""
        md5s = self.write(acq, count, size_b)
        self.do(f"alpenhorn node scan node1 --register-new {acq}")
        return md5s

    # what the index says

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Ask the index, past alpenhorn's own code."""
        with self.world.server.connection(DATABASE) as connection:
            connection.execute_sql("SET sql_mode = 'PIPES_AS_CONCAT'")
            return connection.execute_sql(sql, values).fetchall()

    def change(self, sql: str, *values: Any) -> None:
        """Change the index as another program would."""
        with self.world.server.connection(DATABASE) as connection:
            connection.execute_sql(sql, values)

    @contextmanager
    def changed(self, column: str, value: str) -> Iterator[None]:
        """Have another value in the first node's row for a while, without ringing any bell."""
        sql = f"UPDATE storagenode SET {column} = %s WHERE name = 'node1'"
        before = self.rows(f"SELECT {column} FROM storagenode WHERE name = 'node1'")[0][0]
        self.change(sql, value)
        try:
            yield
        finally:
            self.change(sql, before)

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Let everybody who wants something of a table wait; the server may die meanwhile."""
        with self.world.server.connection(DATABASE) as connection:
            connection.execute_sql(f"LOCK TABLES {table} WRITE")
            yield

    def waiting(self) -> set[str]:
        """The addresses from which somebody waits for a lock."""
        rows = self.rows(
            "SELECT DISTINCT SUBSTRING_INDEX(host, ':', 1) FROM information_schema.processlist"
            " WHERE state LIKE 'Waiting for table%%'"
        )
        return {address for (address,) in rows}

    def states(self, node: str, acq: str) -> dict[str, str]:
        """The two state letters of each copy of an acquisition on a node, by path."""
        return dict(
            self.rows(
                f"SELECT {_PATH}, has_file || wants_file FROM {_FILES} JOIN archivefilecopy copy"
                " ON copy.file_id = file.id JOIN storagenode node ON copy.node_id = node.id"
                " WHERE node.name = %s AND acq.name = %s",
                node,
                acq,
            )
        )

    def ever(self, acq: str) -> dict[str, set[str]]:
        """All states that copies of an acquisition were ever in, by node."""
        rows = self.rows(
            f"SELECT DISTINCT node.name, has_file || wants_file FROM {_FILES}"
            " JOIN audit.states state ON state.file_id = file.id"
            " JOIN storagenode node ON state.node_id = node.id WHERE acq.name = %s",
            acq,
        )
        return {node: {state for name, state in rows if name == node} for node in NODES}

    def pending(self, acq: str) -> int:
        """How many transfers of files of an acquisition are asked for and not done."""
        return self.rows(
            f"SELECT count(*) FROM {_FILES} JOIN archivefilecopyrequest request"
            " ON request.file_id = file.id"
            " WHERE NOT completed AND NOT cancelled AND acq.name = %s",
            acq,
        )[0][0]

    def reasons(self, acq: str) -> list[str]:
        """Why transfers of an acquisition failed, as the index keeps it."""
        rows = self.rows(
            f"SELECT DISTINCT failure || ': ' || message FROM {_FILES}"
            " JOIN archivefilecopyrequest request ON request.file_id = file.id"
            " JOIN alpenhorn_attempt attempt ON attempt.request_id = request.id"
            " WHERE failure IS NOT NULL AND acq.name = %s",
            acq,
        )
        return [text for (text,) in rows]

    # what the disks and the daemons say

    def disk(self, host: str, acq: str) -> dict[str, str]:
        """The MD5 of each file of an acquisition on a host's disk, by path."""
        root = self.world.data(host)
        return {
            str(path.relative_to(root)): hashlib.md5(path.read_bytes()).hexdigest()
            for path in files_below(root / acq)
        }

    def staged_b(self, host: str) -> int:
        """How many bytes of unfinished transfers are on a host's disk."""
        hidden = [path for path in self.world.data(host).glob(".*") if path.is_dir()]
        return sum(size_b(path) for directory in hidden for path in files_below(directory))

    def log(self, host: str) -> Log:
        """Everything that the daemons of a host have written."""
        return parse(self.world.log(host).read_text())

    def logged(self, host: str, text: str, after: int = 0) -> bool:
        """Is there a line with this in it, behind the first `after` lines?"""
        return any(text in line.text for line in self.log(host)[after:])

    def wait(self, fact: Callable[[], Any], what: str = "", patience: float = PATIENCE_S) -> Any:
        """Look until a fact is true."""
        deadline = time.monotonic() + patience
        while not (result := fact()):
            if time.monotonic() > deadline:
                logs = "\n".join(f"{host}:\n{Log(self.log(host)[-40:])}" for host in HOSTS)
                raise AssertionError(
                    f"waited {patience} s in vain{what and ' for ' + what}\n{logs}"
                )
            time.sleep(0.1)
        return result

    def everywhere(self, acq: str, md5s: Mapping[str, str], hosts: tuple[str, ...] = HOSTS) -> bool:
        """Is each file present, wanted and whole on these hosts, and nothing left to do?"""
        nodes = [NODES[HOSTS.index(host)] for host in hosts]
        return (
            all(self.states(node, acq) == dict.fromkeys(md5s, "YY") for node in nodes)
            and self.pending(acq) == 0
            and all(self.disk(host, acq) == md5s for host in hosts)
        )

    # for the record

    def tell(self, when: str, acq: str, index: bool = True) -> None:
        """Print what index and disks say now; see it with ``pytest -rP``."""
        for host, node in zip(HOSTS, NODES, strict=True):
            counts = Counter(self.states(node, acq).values()) if index else {}
            told = " ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "-"
            on_disk = len(files_below(self.world.data(host) / acq))
            staged = f", {self.staged_b(host)} B unfinished" if self.staged_b(host) else ""
            index_says = f"index {told}" if index else "index not there"
            print(f"{when:7} {node}: {index_says}; disk {on_disk} files{staged}")
        if index:
            print(f"{when:7} transfers pending: {self.pending(acq)}")


def files_below(directory: Path) -> list[Path]:
    """The files below a directory, whatever daemons make and remove meanwhile."""
    return [
        path
        for above, _, names in os.walk(directory)
        for path in (Path(above, name) for name in names)
        if path.is_file()
    ]


def size_b(path: Path) -> int:
    """The length of a file that may just be going."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
