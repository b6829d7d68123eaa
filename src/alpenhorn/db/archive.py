"""Copies, and the requests that move and import them (spec: data-index.md §2.3-2.5).

These are the tables. What happens to their rows is in `alpenhorn.db.queries`; the methods that
third-party modules call on records are attached in `alpenhorn.db.record_methods`.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.connection import base_model
from alpenhorn.db.enums import HasFile, WantsFile, copy_state
from alpenhorn.db.fields import EnumField
from alpenhorn.db.storage import StorageGroup, StorageNode


class ArchiveFileCopy(base_model):
    """One (file, node) pair that alpenhorn knows about."""

    if TYPE_CHECKING:
        id = pw.AutoField()
        file_id: int
        node_id: int

    file = pw.ForeignKeyField(ArchiveFile, backref="copies")
    node = pw.ForeignKeyField(StorageNode, backref="copies")
    has_file = EnumField(list(HasFile), default=HasFile.ABSENT.value)
    wants_file = EnumField(list(WantsFile), default=WantsFile.KEEP.value)
    ready = pw.BooleanField(default=False)
    size_b = pw.BigIntegerField(null=True)
    last_update = pw.DateTimeField(default=utcnow)

    class Meta:
        """One row per pair; the second index serves each pass of a daemon (W-20).

        It ends with the file, so that questions about many copies need not look at their rows.
        """

        indexes = (
            (("file", "node"), True),
            (("node", "has_file", "wants_file", "file"), False),
        )

    @property
    def path(self) -> pathlib.Path:
        """Absolute path of the copy."""
        return pathlib.Path(self.node.root or "/", self.file.path)

    @property
    def state(self) -> str:
        """State in a word for people."""
        return copy_state(self.has_file, self.wants_file)


class ArchiveFileCopyRequest(base_model):
    """A wish that one file be copied from a node to a group. Never deleted: it is history."""

    if TYPE_CHECKING:
        id = pw.AutoField()
        file_id: int
        group_to_id: int
        node_from_id: int

    file = pw.ForeignKeyField(ArchiveFile, backref="requests")
    group_to = pw.ForeignKeyField(StorageGroup, backref="requests_to")
    node_from = pw.ForeignKeyField(StorageNode, backref="requests_from")
    completed = pw.BooleanField(default=False)
    cancelled = pw.BooleanField(default=False)
    timestamp = pw.DateTimeField(default=utcnow, null=True)
    transfer_started = pw.DateTimeField(null=True)
    transfer_completed = pw.DateTimeField(null=True)

    class Meta:
        """The first is of version 2; the others make pending requests cheap to find (W-20)."""

        indexes = (
            (("file", "group_to", "node_from"), False),
            (("group_to", "completed", "cancelled"), False),
            (("node_from", "completed", "cancelled"), False),
        )


class ArchiveFileImportRequest(base_model):
    """A wish that something on a node be imported, or that a node be initialised."""

    if TYPE_CHECKING:
        id = pw.AutoField()
        node_id: int

    node = pw.ForeignKeyField(StorageNode, backref="import_requests")
    path = pw.CharField(max_length=1024)
    recurse = pw.BooleanField(default=False)
    register = pw.BooleanField(default=False)
    completed = pw.BooleanField(default=False)
    timestamp = pw.DateTimeField(null=True, default=utcnow)

    class Meta:
        """Pending requests of a node are asked for in each pass (W-20)."""

        indexes = ((("node", "completed"), False),)


NODE_INIT_PATH = "ALPENHORN_NODE"
"""An import request with exactly this path asks for the initialisation of the node."""
