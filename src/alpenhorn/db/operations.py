"""Tables of our own, beside those of version 2 (design §7).

They make the daemons quicker and more talkative; nothing is unsafe without them, and programs that
do not know them ignore them. They are versioned as the component ``operations``. A later version
only adds tables, indexes, and columns that may be NULL: `alpenhorn db init` adds what is missing,
and a program that knows less can go on.
"""

from __future__ import annotations

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.connection import base_model
from alpenhorn.db.fields import NameField

COMPONENT = "operations"
VERSION = 2


class Doorbell(base_model):
    """A counter per host; raising it wakes that host's daemon within about a second."""

    host = NameField(max_length=64, primary_key=True)
    rings = pw.BigIntegerField(default=0)

    class Meta:
        """Prefixed, so as not to clash with tables of extensions."""

        table_name = "alpenhorn_doorbell"


class DaemonLease(base_model):
    """Which process manages the nodes of a host, and when it was last seen."""

    host = NameField(max_length=64, primary_key=True)
    holder = pw.CharField(max_length=64)
    machine = pw.CharField(max_length=255)
    pid = pw.IntegerField()
    version = pw.CharField(max_length=32)
    started = pw.DateTimeField(default=utcnow)
    last_seen = pw.DateTimeField(default=utcnow)

    class Meta:
        """Prefixed, so as not to clash with tables of extensions."""

        table_name = "alpenhorn_daemon"


class TransferAttempt(base_model):
    """One attempt at a copy request: what back-off and explanations read."""

    request_id = pw.IntegerField(index=True)
    failure = pw.CharField(max_length=16, null=True)
    message = pw.CharField(max_length=255, default="")
    bytes = pw.BigIntegerField(null=True)
    seconds = pw.DoubleField(null=True)
    ended = pw.DateTimeField(default=utcnow)

    class Meta:
        """Prefixed, so as not to clash with tables of extensions."""

        table_name = "alpenhorn_attempt"


class DeletionEvidence(base_model):
    """Why a copy could be deleted: which other copies were there when it was claimed.

    The claim is *open* until the copy is `removed`, or the claim was `given_back`.
    """

    copy_id = pw.IntegerField()
    file_id = pw.IntegerField(index=True)
    node_id = pw.IntegerField()
    protected_by = pw.TextField()
    claimed = pw.DateTimeField(default=utcnow)
    removed = pw.DateTimeField(null=True)
    given_back = pw.DateTimeField(null=True)
    released = pw.DateTimeField(null=True)
    released_by = pw.CharField(max_length=255, null=True)

    class Meta:
        """The index finds the open claims of a node, and of a copy on it."""

        table_name = "alpenhorn_deletion"
        indexes = ((("node_id", "removed", "given_back", "copy_id"), False),)


class Release(base_model):
    """Who let a copy go, or wanted it back; rows are only added."""

    copy_id = pw.IntegerField(index=True)
    file_id = pw.IntegerField(index=True)
    node_id = pw.IntegerField()
    wants_file = pw.CharField(max_length=1)
    by = pw.CharField(max_length=255)
    at = pw.DateTimeField(default=utcnow)

    class Meta:
        """Prefixed, so as not to clash with tables of extensions."""

        table_name = "alpenhorn_release"


class Verification(base_model):
    """When the bytes of a copy were last read and compared with the index; one row per copy."""

    file_id = pw.IntegerField()
    node_id = pw.IntegerField()
    added = pw.DateTimeField(null=True)
    """When the copy was last added to the node,"""
    added_by = pw.CharField(max_length=8, null=True)
    """and how: `import` or `pull`."""
    verified = pw.DateTimeField(null=True)
    """When its bytes were last found to be right,"""
    failed = pw.DateTimeField(null=True)
    """and when they were last found to be wrong, or gone."""
    asked = pw.DateTimeField(null=True)
    """When a daemon last put it up for a check because `verified` was too long ago."""

    class Meta:
        """The file comes first: its copies are asked for together."""

        table_name = "alpenhorn_verification"
        primary_key = pw.CompositeKey("file_id", "node_id")


class GroupPolicy(base_model):
    """What the daemons do for a group by themselves."""

    group_id = pw.IntegerField(primary_key=True)
    auto_repair = pw.BooleanField(default=False)

    class Meta:
        """Prefixed, so as not to clash with tables of extensions."""

        table_name = "alpenhorn_group"


class NodeStore(base_model):
    """On which physical store a node rests, as the daemon of its host has found."""

    node_id = pw.IntegerField(primary_key=True)
    host = NameField(max_length=64)
    store = pw.CharField(max_length=64)

    class Meta:
        """Prefixed, so as not to clash with tables of extensions."""

        table_name = "alpenhorn_store"


OPERATIONS_TABLES: tuple[type[base_model], ...] = (
    Doorbell,
    DaemonLease,
    TransferAttempt,
    DeletionEvidence,
    Release,
    Verification,
    GroupPolicy,
    NodeStore,
)
