"""The one table of all configuration keys that alpenhorn itself reads.

`alpenhorn.common.config` takes types, defaults and limits from here, the daemon tests all of them
at its start, and the reference page is made from it (spec: config.md §6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KeyType = Literal[
    "string",
    "int",
    "float",
    "bool",
    "size",
    "list",
    "mapping",
    "level",
    "facility",
    "command",
    "choice",
]
"""How a value is read.

``size``: bytes, as a number or with k, M, G (powers of 1024). ``level``: name of a log level.
``facility``: name of a syslog facility. ``command``: program and options, split like a shell
does (`shlex`), but never given to one. ``choice``: one of the key's `choices`.
"""

Default = str | int | float | bool | None


@dataclass(frozen=True)
class Key:
    """One configuration key.

    Attributes:
        name: the dotted path, such as ``daemon.num_workers``.
        type: how the value is read.
        default: what holds if the key is not set; None: see `meaning`.
        minimum: smallest value allowed (inclusive), None: no limit.
        maximum: largest value allowed (inclusive), None: no limit.
        meaning: what the key does, one sentence or two, for the reference page.
        choices: the values of a ``choice``.
        read_by: ``C`` command line, ``D`` daemon, ``CD`` both.
    """

    name: str
    type: KeyType
    default: Default = None
    minimum: float | None = None
    maximum: int | None = None
    meaning: str = ""
    read_by: str = "D"
    choices: tuple[str, ...] = ()


_BASE = (
    Key(
        "base.hostname",
        "string",
        meaning="Daemon host: the daemon manages the nodes whose host is this name. Not set or "
        "empty: the machine's host name up to the first dot.",
        read_by="CD",
    ),
)

_DATABASE = (
    Key(
        "database",
        "mapping",
        meaning="Passed as a whole to a database extension, which defines its contents.",
        read_by="CD",
    ),
    Key(
        "database.url",
        "string",
        meaning="Database URL. Needed, unless a database extension connects.",
        read_by="CD",
    ),
    Key(
        "database.password_file",
        "string",
        meaning="Path of a file whose first line is the password of the database account. It goes "
        "before one in the URL; the environment variable ALPENHORN_DATABASE_PASSWORD goes before "
        "both.",
        read_by="CD",
    ),
    Key(
        "database.unquote",
        "bool",
        False,
        meaning="User and password in the URL are percent-encoded.",
        read_by="CD",
    ),
)

_EXTENSIONS = (
    Key("extensions", "list", meaning="Import paths of extension modules, in order.", read_by="CD"),
)

_DAEMON = (
    Key(
        "daemon.host",
        "string",
        meaning="Another name of base.hostname. If both are set, they must agree.",
        read_by="CD",
    ),
    Key(
        "daemon.num_workers",
        "int",
        0,
        minimum=0,
        meaning="Worker threads at start. 0: tasks run in the main thread between loops.",
    ),
    Key(
        "daemon.update_interval",
        "int",
        60,
        minimum=0,
        meaning="Seconds, at most, from the start of one pass to the start of the next.",
    ),
    Key(
        "daemon.auto_import_interval",
        "int",
        30,
        minimum=1,
        meaning="Seconds: time-out of the file-system observers, and period of those that poll.",
    ),
    Key(
        "daemon.auto_verify_min_days",
        "int",
        7,
        minimum=0,
        meaning="Days for which auto-verify leaves a copy alone after its last update.",
    ),
    Key(
        "daemon.archive_copy_count",
        "int",
        2,
        minimum=0,
        meaning="Copies on other archive nodes that must be left before a copy may be deleted. "
        "With less than 2 the daemon starts only with --disable-archive-integrity.",
        read_by="CD",
    ),
    Key(
        "daemon.archive_copy_max_age_days",
        "int",
        minimum=1,
        meaning="Only archive copies that were verified in so many days count; older ones are "
        "checked first. Not set: all count.",
        read_by="CD",
    ),
    Key(
        "daemon.medium_timeout",
        "float",
        30.0,
        minimum=0.01,
        meaning="Seconds after which a medium that does not answer is taken to hang.",
    ),
    Key(
        "daemon.serial_io_timeout",
        "int",
        900,
        minimum=0,
        meaning="Seconds that tasks may run per loop if there are no workers.",
    ),
    Key(
        "daemon.pull_timeout_base",
        "float",
        300.0,
        minimum=0,
        meaning="Seconds: constant part of the time limit of a transfer.",
    ),
    Key(
        "daemon.pull_bytes_per_second",
        "float",
        20e6,
        minimum=0,
        meaning="A transfer's time limit is the constant part plus its size divided by this. 0: "
        "no limit.",
    ),
    Key(
        "daemon.remote_shell",
        "command",
        "ssh",
        meaning="Program and options by which rsync and bbcp reach other hosts. ssh alone: OpenSSH "
        "with time-outs, one connection per route, and no questions (docs/routes.md). Anything "
        "else is used as it stands.",
    ),
    Key(
        "daemon.batch_files",
        "int",
        1000,
        minimum=1,
        meaning="Most files in one batch of a transfer.",
    ),
    Key("daemon.batch_bytes", "size", "4G", meaning="Most bytes in one batch of a transfer."),
    Key(
        "daemon.single_file_bytes",
        "size",
        "256M",
        meaning="A file above this size travels alone, so that workers share the load.",
    ),
    Key(
        "daemon.pull_order",
        "choice",
        "oldest",
        choices=("oldest", "newest", "smallest"),
        meaning="Which of the requests that can proceed come first: the oldest requests, those for "
        "the files that were registered last, or those for the smallest files.",
    ),
    Key(
        "daemon.route_transfers",
        "int",
        0,
        minimum=0,
        meaning="Most transfers at a time from one node onto one other. 0: as many as workers.",
    ),
    Key(
        "daemon.node_transfers",
        "int",
        0,
        minimum=0,
        meaning="Most transfers at a time from or onto one node. 0: as many as workers.",
    ),
    Key(
        "daemon.prom_client_port",
        "int",
        minimum=1,
        maximum=65535,
        meaning="Port of the Prometheus endpoint. Not set: no endpoint.",
    ),
    Key(
        "daemon.prom_client_addr",
        "string",
        "0.0.0.0",
        meaning="Address on which the Prometheus endpoint listens. 0.0.0.0: all interfaces.",
    ),
)

_LOGGING = (
    Key("logging.level", "level", "INFO", meaning="Level of the root logger."),
    Key(
        "logging.module_levels",
        "mapping",
        meaning="Logger name to level, for single loggers and what is below them. Names with dots "
        "are written as they are.",
    ),
    Key("logging.utc", "bool", False, meaning="Time stamps in UTC instead of local time."),
    Key("logging.syslog", "mapping", meaning="Present and not empty: log to syslog too."),
    Key("logging.syslog.enable", "bool", True, meaning="False switches syslog off."),
    Key(
        "logging.syslog.address",
        "string",
        "localhost",
        meaning="Host name or address; with port 0, path of a Unix socket such as /dev/log.",
    ),
    Key(
        "logging.syslog.port", "int", 514, minimum=0, maximum=65535, meaning="Port; 0: Unix socket."
    ),
    Key("logging.syslog.facility", "facility", "user", meaning="Name of a syslog facility."),
    Key(
        "logging.syslog.use_tcp",
        "bool",
        False,
        meaning="TCP instead of UDP; of no effect for a Unix socket.",
    ),
    Key("logging.file", "mapping", meaning="Present and not empty: log to a file too."),
    Key(
        "logging.file.name",
        "string",
        meaning="Path of the log file. Needed if logging.file is used.",
    ),
    Key(
        "logging.file.watch",
        "bool",
        False,
        meaning="Another program rotates the file: re-open it when it was moved or removed.",
    ),
    Key(
        "logging.file.rotate",
        "bool",
        False,
        meaning="alpenhorn rotates the file itself; not together with logging.file.watch.",
    ),
    Key(
        "logging.file.backup_count",
        "int",
        10,
        minimum=1,
        meaning="Rotated files that are kept; <name>.1 is the newest.",
    ),
    Key("logging.file.max_bytes", "size", "4M", meaning="Size at which to rotate."),
)

KEYS: tuple[Key, ...] = _BASE + _DATABASE + _EXTENSIONS + _DAEMON + _LOGGING

BY_NAME: dict[str, Key] = {key.name: key for key in KEYS}

SECTIONS = ("base", "database", "daemon", "logging")
"""The top-level mappings."""

CLOSED_SECTIONS = ("base", "daemon", "logging")
"""Sections below which an unknown key is a mistake (spec: config.md K-3)."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# syslog(3) and RFC 5424 table 1, in the spelling of Python's logging.handlers.SysLogHandler.
SYSLOG_FACILITIES = (
    *("auth", "authpriv", "console", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news"),
    *("ntp", "security", "solaris-cron", "syslog", "user", "uucp"),
    *(f"local{n}" for n in range(8)),
)
