"""The version of the schema, per component (spec: data-index.md §2.9, §5)."""

from __future__ import annotations

import peewee as pw

from alpenhorn.db.connection import base_model
from alpenhorn.db.fields import NameField

current_version = 2
"""Schema version of the component ``alpenhorn`` that this program implements."""


class DataIndexVersion(base_model):
    """Which version of which component the Data Index holds."""

    component = NameField(max_length=256, unique=True)
    version = pw.IntegerField()
