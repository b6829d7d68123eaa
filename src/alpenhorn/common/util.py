"""Façade: helpers under the name by which third-party modules import them (extensions.md §9)."""

from alpenhorn.bootstrap import start_alpenhorn
from alpenhorn.common.hashing import md5sum_file
from alpenhorn.common.host import get_hostname
from alpenhorn.common.names import invalid_import_path
from alpenhorn.common.processes import run_command, timeout_call
from alpenhorn.common.units import pretty_bytes, pretty_deltat

__all__ = [
    "get_hostname",
    "invalid_import_path",
    "md5sum_file",
    "pretty_bytes",
    "pretty_deltat",
    "run_command",
    "start_alpenhorn",
    "timeout_call",
]
