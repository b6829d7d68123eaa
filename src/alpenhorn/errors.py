"""One tree of errors, each with its exit status, and the classes of failure.

Everything that alpenhorn raises on purpose is an `AlpenhornError`. Its text is one line: what is
wrong, with which thing, what to do. Front ends print it as ``Error: <text>`` and end with
`exit_code`; nobody sees a traceback for it.

The tree hangs below `click.ClickException` because third-party modules catch that class
(spec: config.md §5, data-index.md §5.2).
"""

from __future__ import annotations

from enum import Enum

import click


class AlpenhornError(click.ClickException):
    """Base of all errors that a person is told about. Exit status 1."""

    exit_code = 1


class UsageProblem(AlpenhornError):
    """The command line is wrong in itself. Exit status 2."""

    exit_code = 2


class ConfigError(AlpenhornError):
    """The configuration is missing, unreadable or wrong."""


class ConfigValueError(ConfigError, ValueError):
    """One configuration value is wrong. Also a `ValueError` (spec: config.md K-11)."""


class ExtensionError(AlpenhornError):
    """An extension module cannot be used."""


class IndexProblem(AlpenhornError):
    """Base of errors about the Data Index."""


class IndexUnreachable(IndexProblem):
    """The database cannot be reached or read."""


class SchemaMismatch(IndexProblem):
    """The Data Index has another schema version than this program."""


class InvalidName(AlpenhornError):
    """A name or path from outside is against the rules."""


class NotFound(AlpenhornError):
    """A record that was asked for by name does not exist."""


class AlreadyExists(AlpenhornError):
    """A record of that name exists already."""


class NotAllowed(AlpenhornError):
    """The wish is understood and refused, for a reason that the text gives."""


class StorageError(AlpenhornError):
    """A storage medium is not what the index says, or cannot be used."""


class AnotherDaemon(AlpenhornError):
    """A second daemon for the same host was about to start."""


class FailureClass(Enum):
    """Why a transfer failed; retry policy hangs on it (design principle P5).

    Only `SOURCE` may touch the state of the source's copy.
    """

    ROUTE = "route"
    """Cannot connect, timed out, the other end went away."""
    SOURCE = "source"
    """The file is missing at the source, or its bytes are not those that the index knows."""
    DESTINATION = "destination"
    """No space, no permission, not mounted, here."""
    INDEX = "index"
    """The database failed while the result was being recorded."""
    INTERRUPTED = "interrupted"
    """Somebody stopped it: shutdown, kill."""
    BUG = "bug"
    """An exception that nobody expected."""
