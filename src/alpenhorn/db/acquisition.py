"""What exists: acquisitions and their files (spec: data-index.md §2.1, §2.2)."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.connection import base_model
from alpenhorn.db.enums import HasFile, StorageType
from alpenhorn.db.fields import NameField


class ArchiveAcq(base_model):
    """An acquisition: in effect a directory that holds files."""

    if TYPE_CHECKING:
        id = pw.AutoField()
        files: Any

    name = NameField(max_length=64, unique=True)
    comment = pw.TextField(null=True)


class ArchiveFile(base_model):
    """One logical file of an acquisition, wherever its copies are."""

    if TYPE_CHECKING:
        id = pw.AutoField()
        acq_id: int
        copies: Any
        requests: Any

    acq = pw.ForeignKeyField(ArchiveAcq, backref="files")
    name = NameField(max_length=255)
    size_b = pw.BigIntegerField(null=True)
    md5sum = pw.CharField(null=True, max_length=32)
    registered = pw.DateTimeField(default=utcnow)

    class Meta:
        """Names are unique within an acquisition."""

        indexes = ((("acq", "name"), True),)

    @property
    def path(self) -> pathlib.PurePath:
        """Path relative to a node's root."""
        return pathlib.PurePath(self.acq.name, self.name)

    @property
    def archive_count(self) -> int:
        """Number of good copies on archive nodes (spec: data-index.md §12.1).

        Not the number that the deletion rule needs: see `queries.deletion`.
        """
        query = self.copies
        node = query.model.node.rel_model
        return (
            query.join(node)
            .where(
                query.model.has_file == HasFile.PRESENT, node.storage_type == StorageType.ARCHIVE
            )
            .count()
        )
