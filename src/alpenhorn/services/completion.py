"""Names that begin with what somebody has typed so far."""

from __future__ import annotations

from alpenhorn.db import ArchiveAcq, StorageGroup, StorageNode
from alpenhorn.db.queries import listing
from alpenhorn.io import registry

_MODELS = {"node": StorageNode, "group": StorageGroup, "acq": ArchiveAcq}


def names(kind: str, prefix: str) -> list[str]:
    """Return known names in alphabetical order.

    Args:
        kind: ``node``, ``group`` or ``acq``: from the Data Index (of very many, the first);
            ``node class`` or ``group class``: storage classes that can be used for these.
        prefix: their beginning, upper and lower case as they are.

    Returns:
        The names; without those that are no single printable word, which shells cannot complete.
    """
    model = _MODELS.get(kind)
    found = listing.names_from(model, prefix) if model else sorted(_classes(kind))
    return [name for name in found if name.startswith(prefix) and _word(name)]


def _classes(kind: str) -> list[str]:
    half = "node_class" if kind == "node class" else "group_class"
    return [name for name, entry in registry.known().items() if getattr(entry, half) is not None]


def _word(name: str) -> bool:
    return name.isprintable() and " " not in name
