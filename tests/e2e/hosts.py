"""A site on one machine: an SQLite index and some hosts with real daemons, for end-to-end tests.

Every host has a directory, a configuration file and a log of its own. Hosts reach one another with
real rsync, over a script that takes the place of ssh. Processes are ended by their ids.

Nothing here sleeps for a fixed time: `Site.wait` looks until a fact is true, or fails and shows
the logs.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

EXAMPLES = Path(__file__).parents[2] / "examples"

PATIENCE_S = 30.0
"""How long a fact may take to become true."""

_LINE = re.compile(
    r"\w{3} \d\d \d\d:\d\d:\d\d (?P<level>[A-Z]+) >> \[(?P<thread>.*?)\] (?P<text>.*)"
)

# Drops what names the host, as ssh does after logging in.
_REMOTE_SHELL = """#!/bin/sh
while [ "$1" = "-l" ]; do shift 2; done
shift
exec "$@"
"""


class Line(NamedTuple):
    """One line of a daemon's log; a line of a traceback has neither level nor thread."""

    level: str
    thread: str
    text: str


Expected = str | re.Pattern[str]
"""A line: its exact text behind ``LEVEL``, or a pattern for all of it."""


class Log(list[Line]):
    """A log, or a part of one."""

    def of(self, thread: str) -> Log:
        """The lines of one thread."""
        return Log(line for line in self if line.thread == thread)

    def workers(self) -> Log:
        """The lines of all workers."""
        return Log(line for line in self if line.thread.startswith("Worker#"))

    def has(self, text: str) -> bool:
        """Is there a line with exactly this text?"""
        return any(line.text == text for line in self)

    def count(self, text: str) -> int:  # type: ignore[override]
        """How many lines have exactly this text."""
        return sum(line.text == text for line in self)

    def task(self, name: str) -> Log:
        """What the first run of a task wrote, from its beginning to its end."""
        starts = [line for line in self if line.text == f"Beginning task {name}"]
        assert starts, f"no task {name!r} in:\n{self}"
        mine = self[self.index(starts[0]) :]
        mine = Log(line for line in mine if line.thread == starts[0].thread)
        ends = [n for n, line in enumerate(mine) if line.text == f"Finished task: {name}"]
        assert ends, f"task {name!r} did not end:\n{mine}"
        return Log(mine[: ends[0] + 1])

    def contains(self, *expected: Expected) -> bool:
        """Do these lines follow one another somewhere, with nothing in between?"""
        return any(
            all(matches(line, want) for line, want in zip(self[n:], expected, strict=False))
            for n in range(len(self) - len(expected) + 1)
        )

    def __str__(self) -> str:
        return "\n".join(f"  {line.level} [{line.thread}] {line.text}" for line in self)


def matches(line: Line, want: Expected) -> bool:
    """Is this the line that is wanted? ``"WARNING text"`` or a pattern for such a text."""
    have = f"{line.level} {line.text}"
    return have == want if isinstance(want, str) else want.fullmatch(have) is not None


def parse(text: str) -> Log:
    """Read a log."""
    found = Log()
    for raw in text.splitlines():
        match = _LINE.fullmatch(raw)
        found.append(Line(**match.groupdict()) if match else Line("", "", raw))
    return found


class Finished(NamedTuple):
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


class Host:
    """One host: its directory, its configuration, and at most one daemon."""

    def __init__(self, site: Site, name: str, **daemon: Any) -> None:
        self.site = site
        self.name = name
        self.directory = site.path / name
        self.directory.mkdir()
        self.root = self.directory / "data"
        self.root.mkdir()
        self.conf = self.directory / "alpenhorn.conf"
        self.log_path = self.directory / "log"
        self.log_path.touch()
        self.process: subprocess.Popen[bytes] | None = None
        self.configure(**daemon)

    def configure(self, extra: str = "", **daemon: Any) -> None:
        """Write the configuration file."""
        keys = {
            "num_workers": 2,
            "update_interval": 10,
            "auto_import_interval": 10,
            "remote_shell": str(self.site.remote_shell),
        } | daemon
        daemon_lines = "".join(f"  {key}: {value}\n" for key, value in keys.items())
        self.conf.write_text(
            f"base:\n  hostname: {self.name}\n"
            f"database:\n  url: {self.site.index_url}\n"
            f"extensions:\n  - pattern_importer\n"
            f"logging:\n  level: INFO\n"
            f"daemon:\n{daemon_lines}{extra}"
        )

    @property
    def log(self) -> Log:
        """Everything that the host's daemons have written."""
        return parse(self.log_path.read_text())

    def start(self, *options: str) -> None:
        """Start the daemon."""
        assert self.process is None or self.process.poll() is not None
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                daemon_command(self.conf, *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.site.environment,
                start_new_session=True,
            )

    def send(self, number: int) -> None:
        """Send a signal to the daemon."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, timeout: float = PATIENCE_S) -> int:
        """Wait until the daemon has ended; returns its exit status."""
        assert self.process is not None
        return self.process.wait(timeout)

    def stop(self) -> int:
        """Stop the daemon as a service manager does; returns its exit status."""
        self.send(signal.SIGTERM)
        return self.end()

    def kill9(self) -> None:
        """Kill the daemon in the middle of whatever it does."""
        self.send(signal.SIGKILL)
        self.end()


def daemon_command(conf: Path, *options: str) -> list[str]:
    """The command line of a daemon."""
    module = [sys.executable, "-m", "alpenhorn.daemon"]
    return [*module, "--test-isolation", "--conf", str(conf), *options]


class Site:
    """Some hosts and their index; a context manager that ends all processes."""

    def __init__(self, path: Path, *hosts: str, index: Path | None = None, **daemon: Any) -> None:
        self.path = path
        self.index = index or path / "index.db"
        self.remote_shell = path / "remote-shell"
        self.remote_shell.write_text(_REMOTE_SHELL)
        self.remote_shell.chmod(0o755)
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(EXAMPLES), os.environ.get("PYTHONPATH", "")]),
            "HOME": str(path),
            "XDG_CONFIG_HOME": str(path),
        }
        self.environment.pop("ALPENHORN_CONFIG_FILE", None)
        self.shell_conf = path / "shell.conf"
        self.shell_conf.write_text(
            f"database:\n  url: {self.index_url}\nextensions:\n  - pattern_importer\n"
        )
        self.hosts = {name: Host(self, name, **daemon) for name in hosts}

    @property
    def index_url(self) -> str:
        """Where the index is."""
        return f"sqlite:///{self.index}"

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *exception: object) -> None:
        running = [host for host in self.hosts.values() if host.process is not None]
        for host in running:
            host.send(signal.SIGTERM)
        for host in running:
            try:
                host.end(5)
            except subprocess.TimeoutExpired:
                host.kill9()

    def __getitem__(self, host: str) -> Host:
        return self.hosts[host]

    def init(self) -> None:
        """Make the index, and the tables of the example extension."""
        assert self.cli("db", "init").code == 0
        self.run(
            [sys.executable, "-c", "import pattern_importer; pattern_importer.demo_init()"],
            environment={"ALPENHORN_CONFIG_FILE": str(self.shell_conf)},
        )

    # shorthands

    def start(self, *hosts: str) -> None:
        """Start the daemons of these hosts."""
        for host in hosts:
            self[host].start()

    def stop(self, *hosts: str) -> None:
        """Stop the daemons of these hosts."""
        for host in hosts:
            self[host].stop()

    def kill9(self, host: str) -> None:
        """Kill the daemon of a host."""
        self[host].kill9()

    def log(self, host: str) -> Log:
        """The log of a host."""
        return self[host].log

    # commands

    def run(
        self,
        command: Sequence[str],
        stdin: str = "",
        environment: dict[str, str] | None = None,
        timeout: float = PATIENCE_S,
    ) -> Finished:
        """Run a program to its end."""
        done = subprocess.run(
            command,
            input=stdin,
            env=self.environment | (environment or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def cli(self, *words: str | Path, stdin: str = "", timeout: float = PATIENCE_S) -> Finished:
        """Run a command of ``alpenhorn``, on a machine that is no host."""
        command = [sys.executable, "-m", "alpenhorn", "--conf", str(self.shell_conf)]
        return self.run([*command, *map(str, words)], stdin, timeout=timeout)

    def do(self, *words: str | Path, stdin: str = "") -> str:
        """Run a command of ``alpenhorn`` that must succeed; returns what it printed."""
        done = self.cli(*words, stdin=stdin)
        assert done.code == 0, f"{words}: {done}"
        return done.stdout

    # facts

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Ask the index, past alpenhorn's own code."""
        connection = sqlite3.connect(f"file:{self.index}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def value(self, sql: str, *values: Any) -> Any:
        """Ask the index for one value."""
        return self.rows(sql, *values)[0][0]

    def change(self, sql: str, *values: Any) -> None:
        """Change the index as another program would, without ringing any bell."""
        connection = sqlite3.connect(self.index, timeout=30)
        try:
            with connection:
                connection.execute(sql, values)
        finally:
            connection.close()

    def states(self, node: str) -> dict[str, str]:
        """The two state letters of each copy on a node, by path."""
        rows = self.rows(
            "SELECT acq.name || '/' || file.name, copy.has_file || copy.wants_file"
            " FROM archivefilecopy copy JOIN archivefile file ON copy.file_id = file.id"
            " JOIN archiveacq acq ON file.acq_id = acq.id"
            " JOIN storagenode node ON copy.node_id = node.id WHERE node.name = ?",
            node,
        )
        return dict(rows)

    def wait(
        self,
        fact: Callable[[], Any],
        timeout: float = PATIENCE_S,
        what: str = "",
        every: float = 0.05,
    ) -> Any:
        """Look until a fact is true; fails with the ends of all logs if it does not come true."""
        deadline = time.monotonic() + timeout
        while not (result := fact()):
            if time.monotonic() > deadline:
                logs = "\n".join(
                    f"{name}:\n{Log(host.log[-40:])}" for name, host in self.hosts.items()
                )
                raise AssertionError(f"waited {timeout} s in vain{what and ' for ' + what}\n{logs}")
            time.sleep(every)
        return result

    def wait_log(self, host: str, text: str, after: int = 0) -> None:
        """Wait for a line with exactly this text, behind the first `after` lines."""
        self.wait(lambda: Log(self.log(host)[after:]).has(text), what=f"{text!r} on {host}")
