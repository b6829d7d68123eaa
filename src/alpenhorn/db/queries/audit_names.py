"""Are names, checksums and settings such that nothing bad can come of them (data-index.md P9)?

The rules are those of `common.names`, in SQL where there may be many rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import peewee as pw

from alpenhorn.common import names
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileImportRequest
from alpenhorn.db.queries.audit import (
    Example,
    Rule,
    each,
    fix_by,
    length,
    matches,
    rows,
)
from alpenhorn.db.queries.streaming import in_byte_order, stream
from alpenhorn.db.storage import StorageGroup, StorageNode
from alpenhorn.errors import InvalidName

# As `names.invalid_import_path` has it.
_BAD_NAMES = ("", ".", "..")
_BAD_PATTERNS = ("/%", "./%", "../%", "%/", "%/.", "%/..", "%//%", "%/./%", "%/../%")
# As `names.vet_path` has it, but for NUL, which not every database can be asked for.
_CONTROL = "[\x01-\x1f\x7f-\x9f\u2028\u2029]"

_RENAME = (
    "Daemons leave them alone. Rename the row, and the files on all nodes, by hand; stop the "
    "daemons before."
)


def hostile() -> list[Rule]:
    """Rules about names and paths."""
    return [
        _path_rule("acquisitions", ArchiveAcq, ArchiveAcq.name, names.ACQ_NAME_LIMIT),
        _path_rule("files", ArchiveFile, ArchiveFile.name, names.FILE_NAME_LIMIT),
        _pending_imports(),
        _label_rule("groups", StorageGroup, 64),
        _label_rule("nodes", StorageNode, 64),
    ]


def checksums() -> list[Rule]:
    """Rules about MD5s (spec: data-index.md §13: 14)."""
    file, md5 = ArchiveFile, ArchiveFile.md5sum
    no_hash = md5.is_null(False) & ((length(md5) != 32) | _no_hex(md5))
    upper = (length(md5) == 32) & ~_no_hex(md5) & (in_byte_order(md5) != pw.fn.LOWER(md5))
    return [
        Rule(
            "no-checksum",
            "files have an MD5 that is not 32 hexadecimal digits",
            "Every check would call their copies corrupt: `alpenhorn file modify --md5`.",
            rows(lambda: file.select(file.id, file.name, md5).where(no_hash).order_by(file.id)),
        ),
        Rule(
            "upper-case-checksum",
            "files have an MD5 in upper case",
            "Other programs would call their copies corrupt: write it in lower case.",
            rows(lambda: file.select(file.id, file.name, md5).where(upper).order_by(file.id)),
            fix_by(
                "writes it in lower case",
                lambda: file.update(md5sum=pw.fn.LOWER(md5)).where(upper),
            ),
        ),
    ]


def settings() -> list[Rule]:
    """Rules about what operators type for nodes and groups."""
    return [
        Rule(
            "bad-root",
            "nodes have a root that is no absolute path",
            "`alpenhorn node modify --root`.",
            lambda: each(_judged(StorageNode, StorageNode.root, _root_reason)),
        ),
        Rule(
            "bad-address",
            "nodes have a user name or an address that no transfer can use",
            "`alpenhorn node modify --username --address`.",
            lambda: each(_addresses()),
        ),
        *(
            Rule(
                f"bad-{what}-io-config",
                f"{what}s have an I/O config that is no JSON object, so daemons skip them",
                f"`alpenhorn {what} modify --io-config`.",
                lambda model=model: each(_judged(model, model.io_config, _io_config_reason)),  # type: ignore[misc]
            )
            for what, model in (("node", StorageNode), ("group", StorageGroup))
        ),
    ]


def _path_rule(noun: str, model: Any, column: Any, limit: int) -> Rule:
    return Rule(
        f"hostile-{noun}",
        f"{noun} have names that are no safe relative paths",
        _RENAME,
        rows(
            lambda: (
                model.select(model.id, column)
                .where(_hostile_path(column, limit))
                .order_by(model.id)
            )
        ),
    )


def _pending_imports() -> Rule:
    table = ArchiveFileImportRequest
    hostile = ~table.completed & _hostile_path(table.path, names.REQUEST_PATH_LIMIT)
    # The node itself is a good thing to scan.
    hostile &= table.path != "."
    return Rule(
        "hostile-import",
        "pending import requests have a path that is no safe relative path",
        "The daemon completes them as invalid, once it comes to them.",
        rows(lambda: table.select(table.id, table.node, table.path).where(hostile)),
        fix_by("sets them completed", lambda: table.update(completed=True).where(hostile)),
    )


def _label_rule(noun: str, model: Any, limit: int) -> Rule:
    bad = (model.name == "") | matches(model.name, _CONTROL) | (length(model.name) > limit)
    return Rule(
        f"hostile-{noun}",
        f"{noun} have a name that is empty, too long, or has control characters",
        f"`alpenhorn {noun[:-1]} rename`.",
        rows(lambda: model.select(model.id, model.name).where(bad).order_by(model.id)),
    )


def _hostile_path(column: Any, limit: int) -> Any:
    condition = column.in_(_BAD_NAMES) | (length(column) > limit) | matches(column, _CONTROL)
    for pattern in _BAD_PATTERNS:
        condition |= column**pattern
    return condition


def _no_hex(column: Any) -> Any:
    """Condition: the text has something else than hexadecimal digits of either case."""
    return matches(column, "[^0-9a-fA-F]")


def _judged(
    model: Any, column: Any, reason: Callable[[str], str | None]
) -> Iterator[tuple[Example, str | None]]:
    """Yield the rows where a text is set, with what is wrong with it."""
    query = model.select(model.id, model.name, column).where(column.is_null(False))
    for key, name, value in stream(query):
        yield {"id": key, "name": name, column.name: value}, reason(value)


def _root_reason(root: str) -> str | None:
    return None if root.startswith("/") else "it does not begin with /"


def _io_config_reason(text: str) -> str | None:
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "it is not valid JSON"
    return None if isinstance(value, dict) else "it is not an object"


def _addresses() -> Iterator[tuple[Example, str | None]]:
    """Yield the nodes that have both a user name and an address."""
    node = StorageNode
    query = node.select(node.id, node.name, node.username, node.address)
    for key, name, username, address in stream(query):
        if username and address:
            example = {"id": key, "name": name}
            try:
                names.safe_address(username, address)
            except InvalidName as error:
                yield example, error.message
