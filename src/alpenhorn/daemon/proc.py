"""Façade: helpers under the name that later versions gave their module (extensions.md §9)."""

from alpenhorn.common.hashing import md5sum_file
from alpenhorn.common.processes import run_command, timeout_call

__all__ = ["md5sum_file", "run_command", "timeout_call"]
