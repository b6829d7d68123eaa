"""Where the daemon's log goes besides standard error: syslog and a file (spec: config.md §8.2).

A destination that fails while the daemon runs (full disk, syslog server away) must not stop or
stall it: the failure is said once on standard error, and again only after the destination has
worked in between.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import logging.handlers
import os
import socket
import sys
import time
from typing import NamedTuple

from alpenhorn.common import config
from alpenhorn.errors import ConfigError, ConfigValueError

log = logging.getLogger(__name__)

# How long the daemon waits for a syslog server, and how long it leaves a dead one alone.
_PATIENCE_SECONDS = 5.0
_RETRY_SECONDS = 30.0


class Destination(NamedTuple):
    """A handler, and the line that announces it."""

    handler: logging.Handler
    announcement: str


def build(formatter: logging.Formatter) -> list[Destination]:
    """Make the destinations that the configuration asks for.

    Args:
        formatter: for all of them.

    Raises:
        ConfigValueError: a value is wrong.
        ConfigError: the log file cannot be opened.
    """
    destinations = []
    if config.value("logging.syslog") and config.value("logging.syslog.enable"):
        destinations.append(_syslog())
    if config.value("logging.file"):
        destinations.append(_file())
    for destination in destinations:
        destination.handler.setFormatter(formatter)
    return destinations


def reopen(handler: logging.Handler) -> None:
    """Open the file of `handler` anew; stay with the old one if that fails.

    Does nothing for handlers that need no help: syslog, and files that we rotate ourselves.
    """
    if isinstance(handler, _File):
        try:
            old = handler.setStream(handler._open())
        except OSError as error:
            _complain(handler, f"Cannot re-open log file {handler.baseFilename}: {error.strerror}")
            return
        with contextlib.suppress(OSError):  # what a full disk still owes
            if old is not None:
                old.close()


class _SaysFailureOnce(logging.Handler):
    """A handler that turns a row of failures into one line on standard error."""

    _failing = False
    _failed = False

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        try:
            super().emit(record)
        except Exception:  # raised by some handlers when they open their file
            self.handleError(record)
        self._failing = self._failed

    def handleError(self, record: logging.LogRecord) -> None:
        self._failed = True
        if not self._failing:
            _complain(self, f"Cannot write to {self}: {sys.exc_info()[1]}")


class _File(_SaysFailureOnce, logging.FileHandler):
    """A file that nobody rotates, or somebody who then sends SIGHUP."""

    def __str__(self) -> str:
        return f"log file {self.baseFilename}"


class _WatchedFile(_SaysFailureOnce, logging.handlers.WatchedFileHandler):
    """A file that somebody else rotates."""

    def __str__(self) -> str:
        return f"log file {self.baseFilename}"


class _RotatedFile(_SaysFailureOnce, logging.handlers.RotatingFileHandler):
    """A file that we rotate."""

    def __str__(self) -> str:
        return f"log file {self.baseFilename}"


class _Syslog(_SaysFailureOnce, logging.handlers.SysLogHandler):
    """Syslog over UDP, TCP or a Unix socket, which connects at the first record.

    The class of the standard library connects in its constructor, so that a server that is away
    ends the daemon (spec: config.md K-15), waits for it without limit, never connects anew over
    TCP, and separates TCP messages by NUL where servers expect a line feed.
    """

    def __init__(self, address: str | tuple[str, int], facility: str, tcp: bool) -> None:
        self._tcp = tcp
        self._retry_at = float("inf")
        super().__init__(address, facility, socket.SOCK_STREAM if tcp else None)
        self._retry_at = 0.0
        self.append_nul = not tcp

    def __str__(self) -> str:
        return f"syslog at {self.address}"

    def createSocket(self) -> None:
        """Connect, unless that failed just now; called by the base class as needed."""
        if self._retry_at == float("inf"):  # in the constructor
            return
        if time.monotonic() < self._retry_at:
            raise OSError("server is away")
        try:
            if self._tcp:
                self.unixsocket = False
                self.socket = socket.create_connection(self.address, _PATIENCE_SECONDS)  # type: ignore[arg-type]
            else:
                super().createSocket()
        except OSError:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            raise

    def format(self, record: logging.LogRecord) -> str:
        """Format `record`; over TCP, a line feed ends the message (RFC 6587 §3.4.2)."""
        text = super().format(record)
        return text.replace("\n", "#012") + "\n" if self._tcp else text

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop a broken TCP connection, so that the next record makes a new one."""
        super().handleError(record)
        if self._tcp and self.socket is not None:
            self.socket.close()
            self.socket = None  # type: ignore[assignment]


def _syslog() -> Destination:
    address = config.value("logging.syslog.address")
    port = config.value("logging.syslog.port")
    facility = config.value("logging.syslog.facility")
    if port == 0:
        text = f"Logging to syslog socket {address} as facility {facility}"
        return Destination(_Syslog(address, facility, tcp=False), text)
    tcp = config.value("logging.syslog.use_tcp")
    protocol = "TCP" if tcp else "UDP"
    text = f"Logging to syslog at {address}:{port} via {protocol} as facility {facility}"
    return Destination(_Syslog((address, port), facility, tcp), text)


def _file() -> Destination:
    name = os.path.expanduser(config.get("logging.file.name", as_type=str))  # noqa: PTH111
    watch = config.value("logging.file.watch")
    rotate = config.value("logging.file.rotate")
    if watch and rotate:
        raise ConfigValueError("logging.file.rotate and logging.file.watch both true in config")
    try:
        if rotate:
            return Destination(_rotated(name), f"Logging to [rotating] {name}")
        if watch:
            return Destination(
                _WatchedFile(name, encoding="utf-8"), f"Logging to [watching] {name}"
            )
        return Destination(_File(name, encoding="utf-8"), f"Logging to {name}")
    except OSError as error:
        raise ConfigError(f"cannot open log file {name}: {error.strerror}") from None


def _rotated(name: str) -> logging.Handler:
    limits = {
        "maxBytes": config.value("logging.file.max_bytes"),
        "backupCount": config.value("logging.file.backup_count"),
    }
    try:
        library = importlib.import_module("concurrent_log_handler")
    except ImportError:
        return _RotatedFile(name, encoding="utf-8", **limits)
    # Safe for several processes that write to one file (spec: config.md §8.4).
    handler: logging.Handler = library.ConcurrentRotatingFileHandler(
        name, encoding="utf-8", **limits
    )
    return handler


def _complain(handler: logging.Handler, text: str) -> None:
    """Say something about a destination on standard error, past the loggers."""
    record = log.makeRecord(log.name, logging.WARNING, "", 0, text, (), None)
    formatter = handler.formatter or logging.Formatter()
    print(formatter.format(record), file=sys.stderr)
