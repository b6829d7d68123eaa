"""Start-up, the same for the daemon, the command line, and programs that embed alpenhorn.

The order is fixed (spec: data-index.md §5.1): logging, configuration, extension modules, database
extension, connection, schema check, other extensions. `alpenhorn.services.doctor.examine` takes
these steps too, but goes on where this ends with an error.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from alpenhorn import db
from alpenhorn.common import config, logger
from alpenhorn.common.host import get_hostname
from alpenhorn.db import schema
from alpenhorn.errors import AlpenhornError, ExtensionError, IndexUnreachable, SchemaMismatch
from alpenhorn.extensions import loader
from alpenhorn.extensions.base import Extension

log = logging.getLogger(__name__)

_MEND_EXTENSION = (
    "Mend it, put its directory on PYTHONPATH, or take it out of `extensions` in the configuration."
)
_MEND_DATABASE = "Check database.url in the configuration, and that the database can be reached."
_OTHER_VERSION = "Use the alpenhorn that made this index, or another database.url."


@dataclass(frozen=True)
class App:
    """A program that has started: connected, with its extensions in use."""

    host: str


def start(
    *,
    cli: bool,
    conf: str | os.PathLike[str] | None = None,
    verbosity: int | None = None,
    check_schema: bool = True,
) -> App:
    """Start alpenhorn.

    Args:
        cli: the command line (True) or the daemon.
        conf: a configuration file to read besides those of the usual places.
        verbosity: of the command line, 1 to 5.
        check_schema: refuse to work with an index of another version.

    Raises:
        AlpenhornError: with a text for the user; nothing was changed.
    """
    logger.init_logging(cli, verbosity)
    if not cli:
        log.info("Alpenhorn start.")
    config.load_config(conf, cli)
    logger.configure_logging()
    config.warn_unknown_keys()
    if not cli:
        config.check_daemon_config()
    extensions = _find_extensions()
    loader.init_extensions(extensions, stage=1)
    db.connect()
    if check_schema:
        _check_schema()
    loader.init_extensions(extensions, stage=2)
    return App(host=get_hostname())


def _find_extensions() -> list[Extension]:
    try:
        return loader.find_extensions()
    except ExtensionError as error:
        raise _advised(error, _MEND_EXTENSION) from error


def _check_schema() -> None:
    try:
        schema.check_schema()
    except IndexUnreachable as error:
        raise _advised(error, _MEND_DATABASE) from error
    except SchemaMismatch as error:
        if schema.found_version(schema.COMPONENT):
            raise _advised(error, _OTHER_VERSION) from error
        raise  # it says what to do


def _advised(error: AlpenhornError, advice: str) -> AlpenhornError:
    """Put behind what is wrong what to do about it."""
    return type(error)(f"{error.message.rstrip('.')}.  {advice}")


def start_alpenhorn(
    conf: str | os.PathLike[str] | None,
    cli: bool = True,
    verbosity: int | None = None,
    check_schema: bool = True,
) -> None:
    """Start alpenhorn as a library (spec: extensions.md §9.1); arguments as for `start`."""
    start(cli=cli, conf=conf, verbosity=verbosity, check_schema=check_schema)
