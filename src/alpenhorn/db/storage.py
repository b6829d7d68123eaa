"""Where copies rest: groups, nodes, and the edges between them (spec: data-index.md §2.6-2.8)."""

from __future__ import annotations

import logging
import pathlib
from typing import TYPE_CHECKING, Any

import peewee as pw

from alpenhorn.common.host import get_hostname
from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.connection import base_model
from alpenhorn.db.enums import HasFile, StorageType
from alpenhorn.db.fields import EnumField, NameField

log = logging.getLogger(__name__)

GIB = 2**30


class StorageGroup(base_model):
    """A set of nodes that receives copies."""

    if TYPE_CHECKING:
        id = pw.AutoField()
        nodes: Any
        requests_to: Any
        transfers_to: Any

    name = NameField(max_length=64, unique=True)
    io_class = pw.CharField(max_length=255, null=True)
    notes = pw.TextField(null=True)
    io_config = pw.TextField(null=True)

    def state_on_node(self, file: ArchiveFile) -> tuple[str, StorageNode | None]:
        """Return the best state of `file` on any node of this group, with that node.

        ``Y`` beats ``M`` beats ``X`` beats ``N``; for ``N`` the node is None.
        """
        copy = file.copies.model
        found = {
            row.has_file: row.node
            for row in copy.select(copy, StorageNode)
            .join(StorageNode)
            .where(copy.file == file, StorageNode.group == self)
            .order_by(copy.id.desc())
        }
        for state in (HasFile.PRESENT, HasFile.SUSPECT, HasFile.CORRUPT):
            if state in found:
                return state.value, found[state]
        return HasFile.ABSENT.value, None


class StorageNode(base_model):
    """A place that holds copies: a directory tree, a disk, a tape system."""

    if TYPE_CHECKING:
        id = pw.AutoField()
        group_id: int
        copies: Any
        requests_from: Any
        import_requests: Any
        transfers_from: Any

    name = NameField(max_length=64, unique=True)
    root = pw.CharField(max_length=255, null=True)
    host = NameField(max_length=64, null=True)
    username = pw.CharField(max_length=64, null=True)
    address = pw.CharField(max_length=255, null=True)
    io_class = pw.CharField(max_length=255, null=True)
    group = pw.ForeignKeyField(StorageGroup, backref="nodes")
    active = pw.BooleanField(default=False)
    auto_import = pw.BooleanField(default=False)
    auto_verify = pw.IntegerField(default=0)
    storage_type = EnumField(list(StorageType), default=StorageType.ARCHIVE.value)
    # Double precision: MySQL's FLOAT keeps only seven digits (W-30).
    max_total_gb = pw.DoubleField(null=True)
    min_avail_gb = pw.DoubleField(default=0)
    avail_gb = pw.DoubleField(null=True)
    avail_gb_last_checked = pw.DateTimeField(null=True)
    notes = pw.TextField(null=True)
    io_config = pw.TextField(null=True)

    class Meta:
        """Each daemon asks for its nodes in each pass (W-20)."""

        indexes = ((("host", "active"), False),)

    @property
    def local(self) -> bool:
        """Is this node managed by a daemon of the host that this process runs on?"""
        return self.host == get_hostname()

    @property
    def archive(self) -> bool:
        """Do good copies here protect a file against deletion elsewhere?"""
        return bool(self.storage_type == StorageType.ARCHIVE)

    @property
    def under_min(self) -> bool:
        """Is there less free space than wished? False if free space was never measured."""
        return self.avail_gb is not None and self.avail_gb < self.min_avail_gb

    def get_total_gb(self) -> float:
        """Return the sum of the lengths of the files (present or suspect) here, in GiB."""
        copy = self.copies.model
        total = (
            self.copies.join(ArchiveFile)
            .where(copy.has_file << [HasFile.PRESENT, HasFile.SUSPECT])
            .select(pw.fn.SUM(ArchiveFile.size_b))
            .scalar()
        )
        return float(total or 0) / GIB

    def check_over_max(self) -> bool:
        """Is the node at or above `max_total_gb`? False if there is no limit."""
        if not self.max_total_gb or self.max_total_gb <= 0:
            return False
        return self.get_total_gb() >= self.max_total_gb

    def check_pull_dest(self, message: str | None = None, log_level: int = logging.INFO) -> bool:
        """Tell whether the node may take new files, with a log line if not.

        Args:
            message: beginning of the log line.
            log_level: level of the log line.
        """
        prefix = message or f"Skipping pull for StorageNode {self.name}"
        if self.under_min:
            text = (
                f"hit minimum free space: ({self.avail_gb:.2f} GiB < {self.min_avail_gb:.2f} GiB)"
            )
            log.log(log_level, f"{prefix}: {text}")
            return False
        if self.max_total_gb and self.max_total_gb > 0:
            total = self.get_total_gb()
            if total >= self.max_total_gb:
                text = f"node full.  ({total:.2f} GiB >= {self.max_total_gb:.2f} GiB)"
                log.log(log_level, f"{prefix}: {text}")
                return False
        return True

    def filecopy_state(self, file: ArchiveFile) -> str:
        """Return `has_file` of the copy of `file` here, ``N`` if there is no row."""
        row = self.copies.where(self.copies.model.file == file).first()
        return str(row.has_file) if row else HasFile.ABSENT.value

    def named_copy_tracked(self, acqname: str, filename: str) -> bool:
        """Tell whether a copy row other than ``N`` exists here for that name."""
        copy = self.copies.model
        return bool(
            self.copies.join(ArchiveFile)
            .join(ArchiveAcq)
            .where(
                copy.has_file != HasFile.ABSENT,
                ArchiveAcq.name == acqname,
                ArchiveFile.name == filename,
            )
            .exists()
        )

    def get_all_files(
        self,
        present: bool = True,
        corrupt: bool = False,
        unknown: bool = False,
        removed: bool = False,
    ) -> set[pathlib.PurePath]:
        """Return the paths of the files whose copy here is in one of the chosen states."""
        wanted = [
            state
            for state, chosen in (
                (HasFile.PRESENT, present),
                (HasFile.CORRUPT, corrupt),
                (HasFile.SUSPECT, unknown),
                (HasFile.ABSENT, removed),
            )
            if chosen
        ]
        if not wanted:
            return set()
        rows = (
            self.copies.join(ArchiveFile)
            .join(ArchiveAcq)
            .where(self.copies.model.has_file << wanted)
            .select(ArchiveAcq.name, ArchiveFile.name)
            .tuples()
        )
        return {pathlib.PurePath(acq, name) for acq, name in rows.iterator()}

    def update_avail_gb(self, bytes_avail: int | None) -> None:
        """Store free space and the time of the measurement; only these two columns.

        Args:
            bytes_avail: free bytes, or None if they cannot be determined: the old value is kept.
        """
        now = utcnow()
        values: dict[str, Any] = {"avail_gb_last_checked": now}
        if bytes_avail is None:
            if self.avail_gb is not None:
                log.warning(f'Unable to determine available space for "{self.name}".')
        else:
            self.avail_gb = values["avail_gb"] = bytes_avail / GIB
        self.avail_gb_last_checked = now
        StorageNode.update(values).where(StorageNode.id == self.id).execute()


class StorageTransferAction(base_model):
    """A directed edge from a node to a group, carrying auto-actions."""

    if TYPE_CHECKING:
        id = pw.AutoField()
        node_from_id: int
        group_to_id: int

    node_from = pw.ForeignKeyField(StorageNode, backref="transfers_from")
    group_to = pw.ForeignKeyField(StorageGroup, backref="transfers_to")
    autosync = pw.BooleanField(default=False)
    autoclean = pw.BooleanField(default=False)

    class Meta:
        """One edge per pair."""

        indexes = ((("node_from", "group_to"), True),)

    @property
    def self_loop(self) -> bool:
        """Is the node a member of the group? Such edges are ignored."""
        return bool(self.node_from.group_id == self.group_to_id)
