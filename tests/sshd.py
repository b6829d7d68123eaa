"""A private ssh server on this machine, for tests: own port, own keys, own log.

The client is the system's ssh with nothing switched off. A wrapper in `bin`, to be put first in
PATH, gives it a file of known hosts, since ssh looks for the usual one in the home directory of the
account, wherever HOME points.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE_S = 20.0

_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
LogLevel VERBOSE
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 50
SetEnv PATH={directory}/bin:{path}
"""

_WRAPPER = """#!/bin/sh
echo "$@" >> {directory}/calls
exec {ssh} -o UserKnownHostsFile={directory}/known_hosts -o GlobalKnownHostsFile=/dev/null "$@"
"""


class Unavailable(Exception):
    """There is no ssh server on this machine; says in one line what is missing."""


class Sshd:
    """A running ssh server and what a client needs to log in.

    Args:
        directory: for its files; without blanks.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.user = getpass.getuser()
        self.key = directory / "key"
        self.log_path = directory / "log"
        self.bin = directory / "bin"
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = 0
        directory.mkdir()
        for name in ("key", "host_key"):
            make_key(directory / name)
        shutil.copy(directory / "key.pub", directory / "authorized_keys")
        self._install_wrapper()

    @property
    def address(self) -> str:
        """``user@host``."""
        return f"{self.user}@127.0.0.1"

    @property
    def options(self) -> dict[str, object]:
        """The keys of a node's I/O config that lead here."""
        return {"ssh_port": self.port, "ssh_identity": str(self.key)}

    def know_host(self, key: Path | None = None) -> None:
        """Have the client take a key (None: the true one) for this server's."""
        public = (key or self.directory / "host_key").with_suffix(".pub").read_text().split()
        line = f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n"
        (self.directory / "known_hosts").write_text(line)

    def forget_host(self) -> None:
        """Have the client know no host at all."""
        (self.directory / "known_hosts").write_text("")

    def refuse_key(self) -> None:
        """Let nobody in."""
        (self.directory / "authorized_keys").write_text("")

    def accept_key(self) -> None:
        """Let the owner of `key` in."""
        shutil.copy(self.directory / "key.pub", self.directory / "authorized_keys")

    def logins(self) -> int:
        """How many connections have logged in."""
        return self.log_path.read_text().count("Accepted publickey")

    def choose_port(self) -> None:
        """Take another port than before, if any."""
        self.port = _free_port()
        path = os.environ.get("PATH", "/usr/bin:/bin")
        text = _CONFIG.format(port=self.port, directory=self.directory, path=path)
        (self.directory / "sshd_config").write_text(text)
        self.know_host()

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        program = _program()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self._begun = len(self.log_path.read_text()) if self.log_path.exists() else 0
        words = [program, "-D", "-f", str(self.directory / "sshd_config"), "-E", str(self.log_path)]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_S
        while f"Server listening on 127.0.0.1 port {self.port}" not in self._said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Unavailable(f"sshd does not start: {self._said()[-300:]}")
            time.sleep(0.02)

    def crash(self) -> None:
        """Kill the server with all that is logged in."""
        assert self._process is not None
        for pid in [self._process.pid, *_descendants(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._process = None

    def _said(self) -> str:
        """What the server of now has written."""
        text = self.log_path.read_text() if self.log_path.exists() else ""
        return text[self._begun :]

    def stop(self) -> None:
        """Stop the server; what is logged in stays so."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None

    def _install_wrapper(self) -> None:
        self.bin.mkdir()
        wrapper = self.bin / "ssh"
        wrapper.write_text(_WRAPPER.format(directory=self.directory, ssh=shutil.which("ssh")))
        wrapper.chmod(0o755)


@contextmanager
def running(directory: Path) -> Iterator[Sshd]:
    """Run a server.

    Raises:
        Unavailable: this machine has none, or it does not start.
    """
    _program()
    if shutil.which("ssh-keygen") is None or shutil.which("ssh") is None:
        raise Unavailable("OpenSSH's client is not installed: there is no ssh or ssh-keygen")
    server = Sshd(directory)
    _start(server)
    try:
        yield server
    finally:
        server.stop()


def _start(server: Sshd, tries: int = 5) -> None:
    """Start a server; between the choice of a port and its use another may have taken it."""
    server.choose_port()
    try:
        server.start()
    except Unavailable:
        if tries == 1:
            raise
        _start(server, tries - 1)


def make_key(path: Path) -> Path:
    """Make a pair of keys."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def _descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


def _program() -> str:
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Unavailable("there is no sshd: install Debian's package openssh-server")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
