"""Log formats, levels and destinations, and `echo`, the output function of the command line.

Spec: config.md §8. The daemon logs to standard error from its first moment on; records made before
the configuration is known are kept and handed on to syslog and file once these are set up. The
command line logs to standard error only, with its verbosity as the level.

Levels are set on loggers, never on destinations, so all destinations get the same records.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, TextIO

import click

from alpenhorn.common import config
from alpenhorn.common.units import MONTHS
from alpenhorn.errors import ConfigValueError

log = logging.getLogger(__name__)

DEFAULT_VERBOSITY = 3
KEPT_RECORDS = 10_000

_CLI_FORMAT = "{levelname} >> {message}"
_DAEMON_FORMAT = "{asctime} {levelname} >> [{threadName}] {message}"
_CLI_LEVELS = {
    1: logging.ERROR,
    2: logging.WARNING,
    3: logging.WARNING,
    4: logging.INFO,
    5: logging.DEBUG,
}


class Formatter(logging.Formatter):
    """Our two formats: ``Feb 21 00:38:32 INFO >> [MainThread] text`` and ``INFO >> text``."""

    def __init__(self, cli: bool) -> None:
        super().__init__(_CLI_FORMAT if cli else _DAEMON_FORMAT, style="{")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Write the time without using the locale, unlike `time.strftime`."""
        t = self.converter(record.created)
        clock = f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
        return f"{MONTHS[t.tm_mon - 1]} {t.tm_mday:02d} {clock}"

    def format(self, record: logging.LogRecord) -> str:
        """Format `record`; file names that are no UTF-8 must not stop any destination."""
        return super().format(record).encode("utf-8", "backslashreplace").decode()

    def use_utc(self, utc: bool) -> None:
        """Write times in UTC, or in local time."""
        self.converter = time.gmtime if utc else time.localtime


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at that moment: tests and embedding programs replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Keeper(logging.Handler):
    """Keeps the first records, for destinations that do not exist yet."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.records) < KEPT_RECORDS:
            self.records.append(record)


@dataclass
class _State:
    """What `init_logging` and `configure_logging` have set up, so that they can be repeated."""

    cli: bool = True
    verbosity: int = DEFAULT_VERBOSITY
    formatter: Formatter = field(default_factory=lambda: Formatter(cli=True))
    stderr: logging.Handler | None = None
    keeper: _Keeper | None = None
    destinations: list[logging.Handler] = field(default_factory=list)
    module_levels: dict[str, str] = field(default_factory=dict)

    def handlers(self) -> list[logging.Handler]:
        return [h for h in (self.stderr, self.keeper, *self.destinations) if h is not None]


_state = _State()


def init_logging(cli: bool, verbosity: int | None = None) -> None:
    """Set up standard error, before anything else happens; may be repeated.

    Args:
        cli: whether this is the command line program, which has another format.
        verbosity: 1 to 5, of the command line program; None: 3.

    Raises:
        ValueError: the verbosity is out of range.
    """
    global _state
    root = logging.getLogger()
    for handler in _state.handlers():
        root.removeHandler(handler)
        handler.close()
    _state = _State(cli=cli, formatter=Formatter(cli), stderr=_StderrHandler())
    if not cli:
        _state.keeper = _Keeper()
        root.setLevel(logging.DEBUG)
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_uncaught_in_thread
    for handler in _state.handlers():
        handler.setFormatter(_state.formatter)
        root.addHandler(handler)
    if cli or verbosity is not None:
        set_verbosity(DEFAULT_VERBOSITY if verbosity is None else verbosity)


def set_verbosity(n: int) -> None:
    """Set how much the command line program says (spec: cli.md §2.3).

    Args:
        n: 1 errors, 2 warnings too, 3 output too, 4 info too, 5 debug messages too.

    Raises:
        ValueError: `n` is out of range.
    """
    if n not in _CLI_LEVELS:
        raise ValueError(f"Bad verbosity: {n}")
    _state.verbosity = n
    if _state.cli:
        logging.getLogger().setLevel(_CLI_LEVELS[n])


def echo(
    message: object = None,
    file: IO[Any] | None = None,
    nl: bool = True,
    err: bool = False,
    color: bool | None = None,
) -> None:
    """Print like `click.echo`, but only at verbosity 3 and above."""
    if _state.verbosity >= DEFAULT_VERBOSITY:
        click.echo(message, file=file, nl=nl, err=err, color=color)


def configure_logging() -> None:
    """Apply the section `logging` of the configuration; in the daemon only. May be repeated.

    New destinations are complete before old ones are closed: after an error the log goes on as
    it was.

    Raises:
        ConfigValueError: a value is wrong, also a `ValueError` (spec: config.md K-11).
        ConfigError: the log file cannot be opened.
    """
    if _state.cli:
        return
    # These bring sockets and more along; the command line does without them.
    from alpenhorn.common import log_destinations

    level = config.value("logging.level")
    module_levels = _module_levels()
    utc = config.value("logging.utc")
    destinations = log_destinations.build(_state.formatter)
    _state.formatter.use_utc(utc)
    _set_levels(level, module_levels)
    _replace_destinations([destination.handler for destination in destinations])
    for destination in destinations:
        log.info(destination.announcement)


def reopen_log_files() -> None:
    """Open the log file anew, after another program has moved it away (spec: config.md K-9).

    To be called by the main loop after a SIGHUP, not from within the signal handler, which may
    have interrupted a write to that file.
    """
    if _state.destinations:
        from alpenhorn.common import log_destinations

        for handler in _state.destinations:
            log_destinations.reopen(handler)


def _module_levels() -> dict[str, str]:
    """Return logger name to level; a name with dots is one name (spec: config.md K-10)."""
    levels: dict[str, str] = {}
    for name, level in config.value("logging.module_levels").items():
        where = f"logging.module_levels.{name}"
        if isinstance(level, (dict, list)):
            raise ConfigValueError(
                f"invalid config value for {where}: level expected; write names with dots in full"
            )
        if level is not None:
            levels[str(name)] = config.log_level(where, level)
    return levels


def _set_levels(level: str, module_levels: dict[str, str]) -> None:
    logging.getLogger().setLevel(level)
    for name in _state.module_levels.keys() - module_levels.keys():
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, module_level in module_levels.items():
        logging.getLogger(name).setLevel(module_level)
    _state.module_levels = module_levels


def _replace_destinations(handlers: list[logging.Handler]) -> None:
    root = logging.getLogger()
    old, _state.destinations = _state.destinations, handlers
    for handler in handlers:
        for record in _state.keeper.records if _state.keeper else ():
            handler.handle(record)
        root.addHandler(handler)
    for handler in old:
        root.removeHandler(handler)
        handler.close()
    if _state.keeper:
        root.removeHandler(_state.keeper)
        _state.keeper = None


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        log.error("Fatal error!", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        log.error("Thread ended!", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))
