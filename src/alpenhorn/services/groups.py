"""Make and change storage groups (spec: cli.md §8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alpenhorn.db import StorageGroup
from alpenhorn.db.queries import storage_edits
from alpenhorn.services import fields, io_config, lookup


def create(name: str, texts: Mapping[str, str | None], config: str | None) -> None:
    """Make a group.

    Args:
        name: its name.
        texts: text columns; empty text is stored as NULL (D22).
        config: I/O config as JSON text, or None.

    Raises:
        InvalidName: the name is unusable.
        AlreadyExists: the name is taken.
    """
    lookup.check_new_name(name, "group")
    storage_edits.create_group({"name": name, "io_config": config, **fields.given(texts)})


def modify(
    name: str, texts: Mapping[str, str | None], config: str | None, variables: Sequence[str]
) -> bool:
    """Change a group.

    Args:
        name: its name.
        texts: text columns: None leaves one alone, empty text clears it.
        config: the option ``--io-config``.
        variables: the options ``--io-var``.

    Returns:
        Whether anything changed.

    Raises:
        NotFound: there is no such group.
    """
    group = lookup.group(name)
    stored = io_config.build(config, variables, group.io_config)
    return storage_edits.update(group, {**fields.given(texts), "io_config": stored})


def rename(name: str, new_name: str) -> bool:
    """Rename a group.

    Returns:
        False if both names are the same.

    Raises:
        AlreadyExists: the new name is taken.
        NotFound: there is no such group.
    """
    if name == new_name:
        return False
    storage_edits.refuse_taken(StorageGroup, new_name)
    group = lookup.group(name)
    lookup.check_new_name(new_name, "group")
    storage_edits.rename(group, new_name)
    return True
