"""Private database servers for tests.

`Server.start` runs MariaDB or PostgreSQL as an ordinary child process: its data lie in a temporary
directory, it listens on a Unix socket there and nowhere else, and it is ended by its process id.
The system's own servers are never touched. Nothing is flushed to disk: these data may get lost.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

import peewee as pw
from playhouse import db_url

PATIENCE_S = 60.0
"""How long a server may take to start or to end."""

_USERS = ("mysql", "postgres", "nobody")


class Unavailable(Exception):
    """The server, or its driver, is not installed; says in one line what is missing."""


class Server:
    """A server that is not running yet; `start` and `stop` may be called again and again."""

    name: ClassVar[str]
    admin_database: ClassVar[str]
    stop_signal: ClassVar[int] = signal.SIGTERM

    def __init__(self) -> None:
        self._user = _unprivileged_user(self.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = self.find_programs()
        # Short, since the path of a socket may have about 100 characters only.
        self.directory = Path(tempfile.mkdtemp(prefix="db-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        # A server that starts removes all temporary tables that lie where it keeps its own, those
        # of other servers too (MariaDB: mysql_rm_tmp_tables), so none shares /tmp.
        self.scratch = self.directory / "tmp"
        self.scratch.mkdir()
        self._own(self.directory)
        self._own(self.scratch)

    # what differs

    def find_programs(self) -> dict[str, str]:
        """Paths of the programs that are needed.

        Raises:
            Unavailable: one is missing.
        """
        raise NotImplementedError

    def make_data(self) -> list[str]:
        """The command that makes an empty data directory."""
        raise NotImplementedError

    def serve(self) -> list[str]:
        """The command that runs the server in the foreground."""
        raise NotImplementedError

    def url(self, database: str) -> str:
        """A value of ``database.url``."""
        raise NotImplementedError

    def recreate(self, admin: Any, database: str) -> None:
        """Make an empty database, whatever was there before."""
        raise NotImplementedError

    def structure(self, connection: Any) -> list[Any]:
        """Something that differs when tables, columns or indexes of the database do."""
        raise NotImplementedError

    def empty_tables(self, connection: Any) -> None:
        """Delete all rows; ids count from 1 again."""
        raise NotImplementedError

    # the same for all

    def start(self) -> None:
        """Run the server until `stop`; returns when it answers."""
        if not self.data.exists():
            self._run(self.make_data())
        with self.log.open("ab") as log:
            self._process = self.launch(log)
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start: {self._last_words()}")
            time.sleep(0.05)

    def launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the server's process."""
        return subprocess.Popen(self.serve(), stdout=log, stderr=log, **self._as_user)

    @property
    def pid(self) -> int:
        """The process of the server, which runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the server; its data stay."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def remove(self) -> None:
        """End the server and remove its data."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def new_database(self, database: str) -> str:
        """Make an empty database of this name; returns its URL."""
        with self.connection(self.admin_database) as admin:
            self.recreate(admin, database)
        return self.url(database)

    @contextlib.contextmanager
    def connection(self, database: str) -> Iterator[Any]:
        """A connection past alpenhorn's own code."""
        made = db_url.connect(self.url(database))
        made.connect()
        try:
            yield made
        finally:
            made.close()

    def _answers(self) -> bool:
        try:
            with self.connection(self.admin_database) as admin:
                admin.execute_sql("SELECT 1")
        except pw.OperationalError:
            return False
        return True

    @property
    def _as_user(self) -> dict[str, Any]:
        """Servers refuse to run as root."""
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _own(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command, capture_output=True, cwd=self.directory, check=False, **self._as_user
        )
        if done.returncode:
            lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
            errors = [line for line in lines if "ERROR" in line] or lines[-3:]
            raise RuntimeError(f"{self.name} cannot make its data directory: {' '.join(errors)}")

    def _last_words(self) -> str:
        return " ".join(self.log.read_text(errors="replace").splitlines()[-3:])


# Little memory, and none of the machine's few slots for asynchronous I/O: several may run at once.
_MARIADB_FRUGAL = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--innodb-use-native-aio=0",
)


class MariaDB(Server):
    """MariaDB, in its default character set and case-blind collation, as sites have it."""

    name = "mariadb"
    admin_database = "mysql"

    def find_programs(self) -> dict[str, str]:
        """See `Server`; the driver may be PyMySQL or mysqlclient."""
        if pw.mysql is None:  # type: ignore[attr-defined]
            raise Unavailable("no driver for MariaDB: install PyMySQL")
        places = ["/usr/sbin", "/usr/local/sbin", "/usr/local/mysql/bin", "/usr/libexec"]
        return _programs("MariaDB", ("mariadbd", "mariadb-install-db"), places)

    def make_data(self) -> list[str]:
        """See `Server`."""
        return [
            self._programs["mariadb-install-db"],
            "--no-defaults",
            f"--datadir={self.data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            f"--tmpdir={self.scratch}",
            *_MARIADB_FRUGAL,
        ]

    def serve(self) -> list[str]:
        """See `Server`."""
        return [
            self._programs["mariadbd"],
            "--no-defaults",
            f"--datadir={self.data}",
            f"--socket={self.directory / 'socket'}",
            f"--pid-file={self.directory / 'pid'}",
            f"--tmpdir={self.scratch}",
            "--skip-networking",
            "--skip-log-bin",
            "--character-set-server=utf8mb4",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0",
            *_MARIADB_FRUGAL,
            "--lock-wait-timeout=30",
            "--max-connections=100",
        ]

    def url(self, database: str) -> str:
        """See `Server`."""
        # PyMySQL would read all certificates of the system first, which takes a tenth of a second.
        plain = "&ssl_disabled=true" if pw.mysql.__name__ == "pymysql" else ""  # type: ignore[attr-defined]
        return f"mysql://root@/{database}?unix_socket={self.directory / 'socket'}{plain}"

    def recreate(self, admin: Any, database: str) -> None:
        """See `Server`."""
        admin.execute_sql(f"DROP DATABASE IF EXISTS {database}")
        admin.execute_sql(f"CREATE DATABASE {database}")

    def structure(self, connection: Any) -> list[Any]:
        """See `Server`."""
        columns = "SELECT table_name, column_name, column_type, is_nullable FROM columns"
        indexes = "SELECT table_name, index_name, column_name, non_unique FROM statistics"
        return [
            sorted(
                connection.execute_sql(
                    f"{query.replace('FROM ', 'FROM information_schema.')}"
                    " WHERE table_schema = database()"
                ).fetchall()
            )
            for query in (columns, indexes)
        ]

    def empty_tables(self, connection: Any) -> None:
        """See `Server`. To truncate is slow: only where ids were given out."""
        tables = connection.execute_sql(
            "SELECT table_name, auto_increment FROM information_schema.tables"
            " WHERE table_schema = database()"
        ).fetchall()
        connection.execute_sql("SET foreign_key_checks = 0")
        for table, next_id in tables:
            if next_id is None:
                connection.execute_sql(f"DELETE FROM {table}")
            elif next_id > 1:
                connection.execute_sql(f"TRUNCATE {table}")


class PostgreSQL(Server):
    """PostgreSQL."""

    name = "postgres"
    admin_database = "postgres"
    stop_signal = signal.SIGINT  # ends sessions at once ("fast shutdown")

    def find_programs(self) -> dict[str, str]:
        """See `Server`; the driver may be psycopg 3 or psycopg2."""
        if pw.psycopg is None and pw.psycopg2 is None:  # type: ignore[attr-defined]
            raise Unavailable("no driver for PostgreSQL: install psycopg[binary]")
        # Debian keeps them out of PATH, one directory per version.
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
        return _programs("PostgreSQL", ("initdb", "postgres"), map(str, debian))

    def make_data(self) -> list[str]:
        """See `Server`."""
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        return [self._programs["initdb"], f"--pgdata={self.data}", *options]

    def serve(self) -> list[str]:
        """See `Server`."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "lock_timeout": "30s",
        }
        pairs = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [self._programs["postgres"], "-D", str(self.data), *pairs]

    def url(self, database: str) -> str:
        """See `Server`."""
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def recreate(self, admin: Any, database: str) -> None:
        """See `Server`."""
        admin.execute_sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        admin.execute_sql(f"CREATE DATABASE {database}")

    def structure(self, connection: Any) -> list[Any]:
        """See `Server`. The views of information_schema are slow here."""
        columns = (
            "SELECT relname, attname, atttypid, attnotnull FROM pg_attribute"
            " JOIN pg_class ON pg_class.oid = attrelid WHERE relkind = 'r' AND attnum > 0"
            " AND relnamespace = 'public'::regnamespace AND NOT attisdropped"
        )
        indexes = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        return [sorted(connection.execute_sql(sql).fetchall()) for sql in (columns, indexes)]

    def empty_tables(self, connection: Any) -> None:
        """See `Server`. To truncate is slow: new files for each table and index."""
        used = connection.execute_sql(
            "SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL"
        ).fetchall()
        statements = [
            "SET session_replication_role = replica",  # checks no foreign keys
            *(f"DELETE FROM {table}" for table in connection.get_tables()),
            *(f"ALTER SEQUENCE {sequence} RESTART" for (sequence,) in used),
        ]
        connection.execute_sql("; ".join(statements))


class TestDatabase:
    """One database on a server, for one test after the other."""

    __test__ = False
    _name = "alpenhorn_test"

    def __init__(self, server: Server) -> None:
        self._server = server
        self._structure: list[Any] = []
        self._versions: list[Any] = []

    def fresh(self) -> str:
        """Make it an empty database; returns its URL."""
        self._structure = []
        return self._server.new_database(self._name)

    def initialised(self, initialise: Callable[[str], None]) -> str:
        """Make it an index without rows, but those of its versions; returns its URL.

        Tables are made with `initialise` only if the last test left none, or changed them.
        """
        if not self._structure or not self._emptied():
            initialise(self.fresh())
            with self._server.connection(self._name) as connection:
                self._structure = self._server.structure(connection)
                query = "SELECT component, version FROM dataindexversion ORDER BY id"
                self._versions = connection.execute_sql(query).fetchall()
        return self._server.url(self._name)

    def _emptied(self) -> bool:
        with self._server.connection(self._name) as connection:
            if self._server.structure(connection) != self._structure:
                return False
            self._server.empty_tables(connection)
            for row in self._versions:
                connection.execute_sql(
                    "INSERT INTO dataindexversion (component, version) VALUES (%s, %s)", row
                )
        return True


SERVERS: dict[str, type[Server]] = {cls.name: cls for cls in (MariaDB, PostgreSQL)}


def _programs(product: str, names: Iterable[str], places: Iterable[str]) -> dict[str, str]:
    """Find programs that belong together: all in one directory, or all on PATH."""
    path = os.pathsep.join([*places, os.environ.get("PATH", "")])
    found = {name: shutil.which(name, path=path) for name in names}
    for name, program in found.items():
        if program is None:
            raise Unavailable(f"{product} is not installed: there is no {name}")
    return {name: str(program) for name, program in found.items()}


def _version(directory: Path) -> float:
    try:
        return float(directory.parent.name)
    except ValueError:
        return 0.0


def _unprivileged_user(name: str) -> pwd.struct_passwd | None:
    """Whom to run a server as: nobody in particular, unless we are root."""
    if os.geteuid() != 0:
        return None
    for user in _USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(user)
    raise Unavailable(f"{name} refuses to run as root, and there is no user {' or '.join(_USERS)}")
