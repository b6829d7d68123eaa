"""Import files whose paths match regular expressions: an example of an import extension.

Alpenhorn does not know which files on a node are data. An *import-detect extension* tells it, and
this one does so by comparing paths with patterns that it keeps in tables of its own in the Data
Index. It is complete and usable, but it is meant to be read, copied and changed.

To try it, put the directory of this file on ``PYTHONPATH``, add the module to the configuration::

    extensions:
        - pattern_importer

and, after ``alpenhorn db init``, make its tables::

    python -c 'import pattern_importer; pattern_importer.demo_init()'


How to write an import extension
================================

An extension module needs four things. Look for them below:

1.  **A hook.** `register_extensions()`, without arguments, returns a list of extension objects.
    Alpenhorn calls it once at start, before there is a connection to the database. So neither it
    nor the top level of the module may touch the database.

2.  **A decision.** `detect(path, node)` gets the path of a file, relative to the root of the node,
    and returns a pair. The first part is the name of the acquisition, which is a directory above
    the file; the rest of the path becomes the name of the file. The second part is a callback.
    ``(None, None)`` says: not one of my files.

    `detect` runs in several threads at once, and again whenever an import is tried again. So it
    must be quick and must not change anything. If the path is not enough to decide, read the file
    with ``with node.io.open(path) as file:``, which also works on nodes that are no local disks.

3.  **A callback**, if something is to be done after the import, such as filling tables of your own.
    Alpenhorn calls it with the copy, the file and the acquisition (these two are None unless this
    import created them) and the node. What `detect` found out travels along in a
    `functools.partial`.

    With ``atomic=True`` the callback runs inside the transaction of the import: either the file
    and your rows are recorded, or nothing is, and the import is tried again later. This is what
    you want, as long as your tables are reached through `alpenhorn.db.database_proxy`, which all
    models based on `alpenhorn.db.base_model` do.

4.  **Tables**, if you need some: subclasses of `alpenhorn.db.base_model`. Others may add tables to
    the same Data Index, so choose names that nobody else uses.

If `detect` or the callback raises an exception, alpenhorn logs it with the name of the extension,
does not import the file, and goes on. Only names that the alpenhorn manual lists as public are
used here.
"""

from __future__ import annotations

import json
import re
import time
from functools import cached_property, partial
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeVar, cast

import click
import peewee as pw

import alpenhorn
from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.extensions import ImportDetectExtension
from alpenhorn.extensions.import_detect import ImportCallback

if TYPE_CHECKING:
    from alpenhorn.daemon import UpdateableNode


class TypeBase(db.base_model):
    """Base of the two tables of types: a name, and the patterns that tell the type.

    `patterns` is a JSON array of Python regular expressions.
    """

    if TYPE_CHECKING:
        id = pw.AutoField()  # peewee adds it by itself

    name = pw.CharField(max_length=64, unique=True)
    patterns = pw.TextField()
    notes = pw.TextField(null=True)

    def check_match(self, name: str) -> str | None:
        """Return `name` if one of the patterns matches the whole of it, else None.

        Raises:
            ValueError: `patterns` is no JSON array of regular expressions.
        """
        for pattern in self._compiled:
            if match := re.fullmatch(pattern, name):
                return match[0]
        return None

    @cached_property
    def _compiled(self) -> list[re.Pattern[str]]:
        """The patterns, decoded once for each row that was read."""
        try:
            patterns = json.loads(self.patterns)
            if not isinstance(patterns, list):
                raise ValueError("no array")
            return [re.compile(pattern) for pattern in patterns]
        except (ValueError, TypeError, re.error) as error:
            kind = type(self).__name__
            raise ValueError(f'bad patterns in {kind} "{self.name}": {error}') from error


class AcqType(TypeBase):
    """A type of acquisition; its patterns are compared with names of directories."""


class FileType(TypeBase):
    """A type of file; its patterns are compared with paths below the acquisition."""


class AcqData(db.base_model):
    """What this extension knows about an acquisition."""

    acq = pw.ForeignKeyField(db.ArchiveAcq, backref="data", unique=True)
    type = pw.ForeignKeyField(AcqType, backref="acqs", null=True)


class FileData(db.base_model):
    """What this extension knows about a file."""

    file = pw.ForeignKeyField(db.ArchiveFile, backref="data", unique=True)
    type = pw.ForeignKeyField(FileType, backref="files", null=True)


_Type = TypeVar("_Type", bound=TypeBase)


def register_file(
    filecopy: db.ArchiveFileCopy,
    new_file: db.ArchiveFile | None,
    new_acq: db.ArchiveAcq | None,
    node: UpdateableNode,
    /,
    *,
    acq_type: AcqType,
    file_type: FileType,
) -> None:
    """Record the types of what an import created: the callback.

    Args:
        filecopy: the imported copy.
        new_file: its file, if the import created it.
        new_acq: its acquisition, if the import created it.
        node: where the copy is.
        acq_type: type of the acquisition, found by `detect`.
        file_type: type of the file, found by `detect`.
    """
    if new_acq is not None:
        AcqData.create(acq=new_acq, type=acq_type)
    if new_file is not None:
        FileData.create(file=new_file, type=file_type)


def detect(path: PurePath, node: UpdateableNode) -> tuple[str, ImportCallback] | tuple[None, None]:
    """Tell to which acquisition a file belongs, if it is one of ours.

    Args:
        path: the file, relative to the root of the node.
        node: where the file is; its path is enough for us.

    Returns:
        The name of the acquisition and a callback; ``(None, None)`` for other files.

    Raises:
        ValueError: a type has bad patterns.
    """
    acq_name, acq_type = _find_acq(path)
    if acq_name is None or acq_type is None:
        return None, None
    file_name = str(path.relative_to(acq_name))
    matches = [kind for kind in _types(FileType) if kind.check_match(file_name)]
    if not matches:
        return None, None
    return acq_name, partial(register_file, acq_type=acq_type, file_type=matches[-1])


def _find_acq(path: PurePath) -> tuple[str, AcqType] | tuple[None, None]:
    """Return the deepest directory above `path` that is an acquisition, and its type."""
    acq_types = _types(AcqType)
    for parent in map(str, path.parents):
        if parent == ".":
            continue
        for acq_type in acq_types:
            if name := acq_type.check_match(parent):
                return name, acq_type
    return None, None


_TYPES_S = 1.0
"""`detect` is called for every file: it asks for the types no more often than this, in seconds."""

_known: dict[type[TypeBase], tuple[float, list[TypeBase]]] = {}


def _types(model: type[_Type]) -> list[_Type]:
    asked, types = _known.get(model, (float("-inf"), []))
    if time.monotonic() - asked > _TYPES_S:
        asked, types = time.monotonic(), list(model.select().order_by(model.id))
        _known[model] = asked, types
    return cast("list[_Type]", types)


def demo_init() -> None:
    """Make the tables and the types of alpenhorn's demo; does no harm when it is repeated.

    The acquisitions of the demo are directories ``YYYY/MM/DD``, their files ``meta.txt`` and
    ``hh/mmss.dat``. Ends the program with a message if the database cannot be used.
    """
    try:
        config.load_config(None, cli=True)
        db.connect()
        db.database_proxy.create_tables([AcqType, FileType, AcqData, FileData], safe=True)
        _add_type(
            AcqType,
            "demo_acq",
            "20[0-9][0-9]/(0[1-9]|1[012])/(0[1-9]|[12][0-9]|3[01])",
            "AcqType for alpenhorn demo",
        )
        _add_type(
            FileType,
            "demo_data",
            r"([01][0-9]|2[0-3])/[0-5][0-9][0-5][0-9]\.dat",
            "Data files for alpenhorn demo",
        )
        _add_type(FileType, "demo_meta", "meta.txt$", "Metadata file for alpenhorn demo")
    except (click.ClickException, pw.PeeweeException) as error:
        raise SystemExit(f"Error: {error}") from error
    print("Plugin init complete.")


def _add_type(model: type[TypeBase], name: str, pattern: str, notes: str) -> None:
    """Add a type with one pattern, unless there is one of that name."""
    model.get_or_create(name=name, defaults={"patterns": json.dumps([pattern]), "notes": notes})


def register_extensions() -> list[ImportDetectExtension]:
    """Hand our extension to alpenhorn: the hook."""
    return [
        ImportDetectExtension("PatternImporter", alpenhorn.__version__, detect=detect, atomic=True)
    ]
