"""The Default storage class: a directory tree on a POSIX file system."""

from alpenhorn.io.base import InternalIO
from alpenhorn.io.default.compat import (
    check_async,
    delete_async,
    pull_async,
    remove_filedir,
)
from alpenhorn.io.default.group import DefaultGroupIO
from alpenhorn.io.default.node import DefaultNodeIO
from alpenhorn.io.default.remote import DefaultNodeRemote
from alpenhorn.io.default.updownlock import UpDownLock

DefaultIO = InternalIO("alpenhorn.io.default", DefaultNodeIO, DefaultGroupIO)

__all__ = [
    "DefaultGroupIO",
    "DefaultIO",
    "DefaultNodeIO",
    "DefaultNodeRemote",
    "UpDownLock",
    "check_async",
    "delete_async",
    "pull_async",
    "remove_filedir",
]
