"""The daemon host name: which nodes are "here"."""

from __future__ import annotations

import os

from alpenhorn.common import config
from alpenhorn.errors import ConfigValueError


def get_hostname() -> str:
    """Return the daemon host name (spec: config.md §6.1, §13).

    Returns:
        `base.hostname` or its other name `daemon.host`; if neither is set, the machine's host
        name up to the first dot.

    Raises:
        ConfigValueError: both keys are set and differ.
    """
    base = config.value("base.hostname") or ""
    other = config.value("daemon.host") or ""
    if base and other and base != other:
        raise ConfigValueError(
            f'base.hostname ("{base}") and daemon.host ("{other}") differ: set only one of them'
        )
    return str(base or other or os.uname().nodename.split(".")[0])
