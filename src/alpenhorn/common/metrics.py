"""Prometheus metrics that do nothing where the library is missing (spec: config.md §10).

The library is loaded when a value is first recorded: the command line has no metrics and must not
pay for them. Names and labels are tested either way, so that mistakes show up everywhere.
"""

from __future__ import annotations

import functools
import importlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from alpenhorn.common.host import get_hostname
from alpenhorn.errors import ConfigError

log = logging.getLogger(__name__)

PREFIX = "alpenhorn_"


class _Family:
    """All series of one name; made once per name."""

    def __init__(self, name: str, description: str, counter: bool, labels: tuple[str, ...]) -> None:
        self.name = name
        self.description = description
        self.counter = counter
        self.labels = labels
        self.dropped = 0
        """How often series were dropped: what was found before is not the series any more."""
        self._collector: Any = None

    @property
    def collector(self) -> Any:
        """The library's object, or None without the library."""
        library = _library()
        with _lock:
            if self._collector is None and library is not None:
                kind = library.Counter if self.counter else library.Gauge
                self._collector = kind(PREFIX + self.name, self.description, self.labels)
        return self._collector


_families: dict[str, _Family] = {}
_lock = threading.Lock()


class Metric:
    """A counter or gauge, some or all of whose labels have a fixed value.

    The same name may be used again, with the same type and the same set of labels; it is then
    the same metric. The label `daemon` is bound to the daemon host unless it is given.

    Args:
        name: without the prefix ``alpenhorn_``.
        description: one line for the endpoint's help text.
        counter: True: a counter, which only goes up; False: a gauge.
        unbound: names of labels whose value comes with each call.
        bound: label to fixed value.

    Raises:
        TypeError: the name is in use for the other type.
        ValueError: the name is in use with other labels.
        KeyError: a label is both bound and unbound.
    """

    def __init__(
        self,
        name: str,
        description: str,
        counter: bool = False,
        unbound: Iterable[str] = (),
        bound: Mapping[str, object] | None = None,
    ) -> None:
        self._unbound = frozenset((unbound,) if isinstance(unbound, str) else unbound)
        self._bound = {label: str(value) for label, value in (bound or {}).items()}
        if both := self._unbound & self._bound.keys():
            raise KeyError(f"label both bound and unbound: {', '.join(sorted(both))}")
        labels = tuple(sorted(self._unbound | self._bound.keys() | {"daemon"}))
        self._family = _family(name, description, counter, labels)
        self._found: dict[tuple[object, ...], Any] = {}
        """Series by what they were asked for with: a batch asks a thousand times for one."""

    @property
    def labelnames(self) -> list[str]:
        """All labels, sorted."""
        return list(self._family.labels)

    def labelvalues(self, **labels: object) -> list[str]:
        """Return the values of all labels, in the order of `labelnames`.

        Args:
            **labels: a value for each unbound label.

        Raises:
            ValueError: a label is missing.
            TypeError: there is one too many.
        """
        self._refuse_bound(labels)
        if missing := self._unbound - labels.keys():
            raise ValueError(f"missing label: {', '.join(sorted(missing))}")
        values = self._bound | {label: str(value) for label, value in labels.items()}
        if "daemon" not in values:
            values["daemon"] = get_hostname()
        return [values[label] for label in self._family.labels]

    def bind(self, **labels: object) -> Metric:
        """Return a copy with these labels bound; TypeError for one that is not unbound."""
        self._refuse_bound(labels)
        family = self._family
        return Metric(
            family.name,
            family.description,
            family.counter,
            self._unbound - labels.keys(),
            self._bound | labels,
        )

    def inc(self, **labels: object) -> None:
        """Add 1."""
        self.add(1, **labels)

    def dec(self, **labels: object) -> None:
        """Subtract 1; ValueError for a counter."""
        self.add(-1, **labels)

    def add(self, value: float, **labels: object) -> None:
        """Add `value`; ValueError for a counter if it is negative."""
        if self._family.counter and value < 0:
            raise ValueError(f"counter {self._family.name} cannot go down")
        series = self._series(labels)
        if series is not None:
            series.inc(value)

    def set(self, value: float, **labels: object) -> None:
        """Set a gauge to `value`, or a counter to 0; ValueError for another value of a counter."""
        if self._family.counter and value != 0:
            raise ValueError(f"counter {self._family.name} can be set to 0 only")
        series = self._series(labels)
        if series is None:
            return
        if self._family.counter:
            series.reset()
        else:
            series.set(value)

    def follow(self, read: Callable[[], float], **labels: object) -> None:
        """Have a gauge call `read` for its value whenever somebody asks for it."""
        series = self._series(labels)
        if series is not None:
            series.set_function(read)

    def remove(self, **labels: object) -> None:
        """Drop the series with these labels, if there is one."""
        values = self.labelvalues(**labels)
        self._family.dropped += 1
        if self._family.collector is not None:
            with suppress(KeyError):
                self._family.collector.remove(*values)

    def clear(self) -> None:
        """Drop all series of this name."""
        self._family.dropped += 1
        if self._family.collector is not None:
            self._family.collector.clear()

    def _series(self, labels: dict[str, object]) -> Any:
        key = (self._family.dropped, get_hostname(), *labels.items())
        series = self._found.get(key)
        if series is None:
            series = self._look_up(labels)
            self._found = {known: one for known, one in self._found.items() if known[0] == key[0]}
            self._found[key] = series
        return series

    def _look_up(self, labels: dict[str, object]) -> Any:
        values = self.labelvalues(**labels)
        collector = self._family.collector
        return None if collector is None else collector.labels(*values)

    def _refuse_bound(self, labels: dict[str, object]) -> None:
        if extra := labels.keys() - self._unbound:
            raise TypeError(f"unexpected label: {', '.join(sorted(extra))}")


def start_endpoint(port: int, addr: str = "0.0.0.0") -> Callable[[], None] | None:
    """Serve the metrics over HTTP, from a thread.

    Args:
        port: TCP port, 1 to 65535 (`daemon.prom_client_port`).
        addr: address to listen on; ``0.0.0.0``: all interfaces.

    Returns:
        A function that ends the service; None if the library is missing.

    Raises:
        ConfigError: the port is in use, or not ours to use.
    """
    library = _library()
    if library is None:
        log.warning("No metrics: daemon.prom_client_port needs the package prometheus-client.")
        return None
    try:
        server, thread = library.start_http_server(port, addr)
    except OSError as error:
        raise ConfigError(f"cannot serve metrics on {addr} port {port}: {error.strerror}") from None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def _family(name: str, description: str, counter: bool, labels: tuple[str, ...]) -> _Family:
    with _lock:
        family = _families.setdefault(name, _Family(name, description, counter, labels))
    if family.counter != counter:
        raise TypeError(f"metric {name} is a {'counter' if family.counter else 'gauge'}")
    if family.labels != labels:
        raise ValueError(f"metric {name} has the labels {', '.join(family.labels)}")
    return family


@functools.cache
def _library() -> Any:
    """Load prometheus_client; None if it is not installed."""
    try:
        library = importlib.import_module("prometheus_client")
    except ImportError:
        return None
    library.disable_created_metrics()
    return library
