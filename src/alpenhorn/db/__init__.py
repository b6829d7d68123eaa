"""The Data Index: the connection, the tables, and (in `queries`) all SQL.

The names exported here are public: third-party modules import them (spec: extensions.md §9).
"""

from alpenhorn.common.units import utcfromtimestamp, utcnow
from alpenhorn.db import record_methods as record_methods  # attaches the records' public methods
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import (
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
)
from alpenhorn.db.connection import (
    base_model,
    close,
    connect,
    database_proxy,
    set_extension,
    threadsafe,
)
from alpenhorn.db.data_index import DataIndexVersion, current_version
from alpenhorn.db.enums import HasFile, StorageType, WantsFile
from alpenhorn.db.fields import EnumField
from alpenhorn.db.schema import gamut, schema_version
from alpenhorn.db.storage import StorageGroup, StorageNode, StorageTransferAction

__all__ = [
    "ArchiveAcq",
    "ArchiveFile",
    "ArchiveFileCopy",
    "ArchiveFileCopyRequest",
    "ArchiveFileImportRequest",
    "DataIndexVersion",
    "EnumField",
    "HasFile",
    "StorageGroup",
    "StorageNode",
    "StorageTransferAction",
    "StorageType",
    "WantsFile",
    "base_model",
    "close",
    "connect",
    "current_version",
    "database_proxy",
    "gamut",
    "schema_version",
    "set_extension",
    "threadsafe",
    "utcfromtimestamp",
    "utcnow",
]
