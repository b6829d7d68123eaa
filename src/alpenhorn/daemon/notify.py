"""Tell the service manager how the daemon is: ready, busy with what, alive, stopping.

The protocol is that of sd_notify(3): one datagram of ``NAME=value`` lines to the Unix socket whose
address is in ``NOTIFY_SOCKET``. Where that is not set, nobody is told. A manager that does not
listen neither stops nor stalls the daemon.

A sign of life (``WATCHDOG=1``) is sent only when the main loop asks for it, never by a thread of
its own: a main loop that hangs must be noticed. Waiting is no hanging, so the main loop asks for it
while it sleeps and while it waits for a lost database, too.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

log = logging.getLogger(__name__)

_BEATS_PER_LIMIT = 5
"""Whoever looks for a reason to wake at this rate, too, is never silent for half of the limit."""

_PATIENCE_S = 1.0
"""How long a manager may leave its socket full."""

_LONGEST_STATUS = 200


class Notifier:
    """The way to the service manager.

    Args:
        environment: where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked up.
        clock: gives seconds.
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        variables = os.environ if environment is None else environment
        self._address = _address(variables.get("NOTIFY_SOCKET", ""))
        self._limit_usec = _limit_usec(variables) if self._address else 0
        self._clock = clock
        self._last_beat = float("-inf")
        self._status = ""

    @property
    def beat_s(self) -> float | None:
        """Seconds between two signs of life; None: nobody waits for them."""
        return self._limit_usec / 1e6 / _BEATS_PER_LIMIT if self._limit_usec else None

    def ready(self) -> None:
        """Say that the start has succeeded."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Say in one line what the daemon is about; the same text is not sent twice."""
        line = " ".join(text.split())[:_LONGEST_STATUS]
        if line != self._status and self._send(f"STATUS={line}"):
            self._status = line

    def alive(self) -> None:
        """Give a sign of life if one is due; for the main loop only, as often as it likes."""
        if self.beat_s is not None and self._clock() - self._last_beat >= self.beat_s:
            self._beat("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the daemon is about to end."""
        self._send("STOPPING=1")

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Have no signs of life expected while the main loop itself does the long work."""
        if not self._limit_usec:
            yield
            return
        self._send("WATCHDOG_USEC=0")  # 0 is "off": systemd.service(5), WatchdogSec=
        try:
            yield
        finally:
            self._beat(f"WATCHDOG_USEC={self._limit_usec}\nWATCHDOG=1")

    def _beat(self, message: str) -> None:
        if self._send(message):
            self._last_beat = self._clock()

    def _send(self, message: str) -> bool:
        """Send one datagram; tell whether it is on its way."""
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(_PATIENCE_S)
                channel.sendto(message.encode(), self._address)
        except OSError as error:
            log.debug(f"Cannot tell the service manager {message!r}: {error}")
            return False
        return True


def _address(text: str) -> str:
    """Return the socket's address as the kernel takes it: unix(7), abstract with a leading NUL."""
    if text.startswith("@"):
        return f"\0{text[1:]}"
    if text and not text.startswith("/"):
        log.debug(f"NOTIFY_SOCKET is no Unix socket: {text}")
        return ""
    return text


def _limit_usec(variables: Mapping[str, str]) -> int:
    """Return the microseconds after which silence counts as death, 0: no limit.

    Rules: sd_watchdog_enabled(3). The limit may be meant for another process.
    """
    if variables.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0
    text = variables.get("WATCHDOG_USEC", "")
    return int(text) if text.isascii() and text.isdigit() else 0
