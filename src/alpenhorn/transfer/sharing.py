"""One ssh connection per route, shared by all that travels on it for a while.

The daemon calls `start` and `stop`; in between, `remote_shell` opens a connection where there is
none and returns the command that uses it. Without `start`, and with a remote shell of the
operator's own, every command logs in by itself.

The shared connection is a process of its own (ssh_config(5), ControlMaster). It is started apart
from the commands that use it, so it never holds their pipes open, and it is told to go into the
background once it is logged in. Its socket lies in a directory that only we can enter. When it has
had no user for a minute it ends by itself; so it does even if nobody is left to end it.

Should a connection turn out to be of no use, ssh logs in anew: sharing saves time, and nothing
depends on it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from alpenhorn.common.processes import run_command
from alpenhorn.errors import FailureClass, InvalidName
from alpenhorn.transfer.batch import Endpoint
from alpenhorn.transfer.failures import TransferFailed, cause
from alpenhorn.transfer.ssh import SYSTEM_SSH, login_command, ssh_command, user_and_host
from alpenhorn.transfer.ssh_failures import explain, last_line

log = logging.getLogger(__name__)

IDLE_S = 60
"""Seconds that a connection without users is kept."""

_LOGIN_S = 120.0
"""Most seconds for a login; ssh's own time-outs come first."""
_CONTROL_S = 10.0
"""Most seconds for a word with the process that holds a connection."""

# sockaddr_un holds 104 bytes on some systems; ssh binds a longer name first (".", 16 characters).
_LONGEST_SOCKET = 104 - 1 - 17
# Nothing that ssh would expand or that needs quoting.
_PLAIN = re.compile(r"[\w/.@+=:,-]+", re.ASCII)
_NO_SOCKET = re.compile(r"unix_listener|ControlSocket|ControlPath|mux_")


class Connections:
    """The shared connections of this process.

    Args:
        directory: where their sockets are; nobody else may enter it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._opened: dict[Path, Endpoint] = {}
        self._locks: dict[Path, threading.Lock] = {}
        self._guard = threading.Lock()

    def open(self, source: Endpoint) -> Path | None:
        """Return the socket of a connection to `source`; None if it cannot be shared.

        Raises:
            TransferFailed: nobody can log in there.
        """
        socket = self._socket(source)
        with self._lock(socket):
            if not self._control("check", socket, source) and not self._log_in(socket, source):
                return None
            self._opened[socket] = source
        return socket

    def leave(self, source: Endpoint) -> None:
        """Use the connection no more: what runs on it goes on, what comes logs in anew."""
        socket = self._socket(source)
        with self._lock(socket):
            if self._opened.pop(socket, None):
                self._control("stop", socket, source)

    def close(self) -> None:
        """End all connections, and remove their directory."""
        for socket, source in list(self._opened.items()):
            self._control("exit", socket, source)
        self._opened.clear()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _lock(self, socket: Path) -> threading.Lock:
        """Return the lock that keeps two workers from logging in at once on one route."""
        with self._guard:
            return self._locks.setdefault(socket, threading.Lock())

    def _socket(self, source: Endpoint) -> Path:
        """Connections differ by what decides where, as whom and with which key we log in."""
        route = repr((source.address, source.options.port, source.options.identity))
        return self._directory / hashlib.sha256(route.encode()).hexdigest()[:16]

    def _control(self, word: str, socket: Path, source: Endpoint) -> bool:
        """Have a word with the process that holds a connection; False if there is none."""
        if not socket.exists():
            return False
        command = [*ssh_command(source, control_path=socket), "-O", word]
        status, _, _ = run_command([*command, *_destination(source)], _CONTROL_S)
        return status == 0

    def _log_in(self, socket: Path, source: Endpoint) -> bool:
        """Start the process that holds a connection; False if only sharing is impossible."""
        socket.unlink(missing_ok=True)  # nobody answers there any more
        first = ["-o", "ControlMaster=auto", "-o", f"ControlPersist={IDLE_S}", "-f", "-N"]
        program, *options = ssh_command(source, control_path=socket)
        status, said = _run_apart([program, *first, *options, *_destination(source)])
        if status == 0:
            return True
        if _NO_SOCKET.search(said):
            log.warning(f"Cannot share connections to {source.address}: {last_line(said)}")
            return False
        user, host = user_and_host(source)
        if status is None:
            raise TransferFailed(FailureClass.ROUTE, f"{host} does not answer: login timed out")
        reason = explain(said, user, host) or f"cannot log in to {host}: {last_line(said)}"
        raise TransferFailed(FailureClass.ROUTE, reason)


class _Sharing:
    """Whether connections are shared; the directory is made for the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = False
        self.connections: Connections | None = None

    def start(self) -> None:
        self._wanted = True

    def stop(self) -> None:
        with self._lock:
            self._wanted = False
            ending, self.connections = self.connections, None
        if ending is not None:
            ending.close()

    def begin(self) -> Connections | None:
        """Return the connections, None if none are shared."""
        with self._lock:
            if self._wanted and self.connections is None:
                directory = _make_directory()
                self._wanted = directory is not None
                self.connections = Connections(directory) if directory else None
            return self.connections


_sharing = _Sharing()


def start() -> None:
    """Share connections from now on."""
    _sharing.start()


def stop() -> None:
    """End all shared connections; harmless without `start`."""
    _sharing.stop()


def remote_shell(source: Endpoint, configured: Sequence[str] = SYSTEM_SSH) -> list[str]:
    """Return the command that logs in to the host of `source`, without the host itself.

    Args:
        source: where to log in.
        configured: ``daemon.remote_shell``.

    Raises:
        TransferFailed: nobody can log in there, for a reason that names the host.
    """
    return ssh_command(source, configured, _shared(source, configured))


def login(source: Endpoint, configured: Sequence[str] = SYSTEM_SSH) -> list[str]:
    """Return the whole command that logs in; see `ssh.login_command` and `remote_shell`."""
    return login_command(source, configured, _shared(source, configured))


def give_up(source: Endpoint) -> None:
    """Do not use the connection to `source` again: it has failed."""
    if _sharing.connections is not None:
        _sharing.connections.leave(source)


def _shared(source: Endpoint, configured: Sequence[str]) -> Path | None:
    """Return the socket of the shared connection, None if each command logs in by itself."""
    try:
        user_and_host(source)
        if tuple(configured) != SYSTEM_SSH:
            return None
        _require_identity(source)
        connections = _sharing.begin()
        return connections.open(source) if connections is not None else None
    except InvalidName as error:
        message = f"no way to the source: {error.message}"
        raise TransferFailed(FailureClass.ROUTE, message) from error
    except FileNotFoundError as error:
        message = "ssh is not installed here: install it, and make sure it is in the daemon's PATH"
        raise TransferFailed(FailureClass.DESTINATION, message) from error
    except OSError as error:
        message = f"cannot start ssh: {cause(error)}"
        raise TransferFailed(FailureClass.DESTINATION, message) from error


def _require_identity(source: Endpoint) -> None:
    """Raise TransferFailed if the key that the node names is not here; ssh would try others."""
    identity = source.options.identity
    if identity and not os.access(Path(identity).expanduser(), os.R_OK):
        _, host = user_and_host(source)
        message = f"cannot log in to {host}: the key {identity} (ssh_identity) cannot be read here"
        raise TransferFailed(FailureClass.ROUTE, message)


def _destination(source: Endpoint) -> list[str]:
    user, host = user_and_host(source)
    return ["-l", user, "--", host]


def _run_apart(command: Sequence[str]) -> tuple[int | None, str]:
    """Run a command that leaves a process behind; returns its status and what it said.

    Older versions of ssh keep standard error open in the background: so it is a file, since one
    would wait for the end of a pipe.
    """
    with tempfile.TemporaryFile() as said:
        status, _, _ = run_command(command, _LOGIN_S, stdout=said, stderr=said)
        said.seek(0)
        return status, said.read().decode("utf-8", "replace")


def _make_directory() -> Path | None:
    """Make the directory for the sockets (mode 0700); None if there is no good place."""
    # The first is set by systemd for a service, the second for a session.
    set_by_system = [os.environ.get(name) for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")]
    for parent in (*set_by_system, tempfile.gettempdir(), "/tmp"):
        if not parent or not _PLAIN.fullmatch(parent) or not Path(parent).is_absolute():
            continue
        if len(parent) + len("/alpenhorn-12345678/") + 16 > _LONGEST_SOCKET:
            continue
        try:
            return Path(tempfile.mkdtemp(prefix="alpenhorn-", dir=parent))
        except OSError as error:
            log.debug(f"No sockets below {parent}: {cause(error)}")
    log.warning("Connections are not shared: no place for their sockets.")
    return None
