"""Tables of our own, beside those of version 2 (design §7).

They make the daemons quicker and more talkative; nothing is unsafe without them, and programs that
do not know them ignore them. They are versioned as the component ``operations``.
"""

from __future__ import annotations

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.connection import base_model
from alpenhorn.db.fields import NameField

COMPONENT = "operations"
VERSION = 1


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
    """Why a copy could be deleted: which other copies were there when it was claimed."""

    copy_id = pw.IntegerField()
    file_id = pw.IntegerField(index=True)
    node_id = pw.IntegerField()
    protected_by = pw.TextField()
    claimed = pw.DateTimeField(default=utcnow)
    removed = pw.DateTimeField(null=True)

    class Meta:
        """Prefixed, so as not to clash with tables of extensions."""

        table_name = "alpenhorn_deletion"


OPERATIONS_TABLES: tuple[type[base_model], ...] = (
    Doorbell,
    DaemonLease,
    TransferAttempt,
    DeletionEvidence,
)
