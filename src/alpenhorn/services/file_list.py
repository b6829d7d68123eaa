"""File lists: the option ``--file-list`` (spec: cli.md §4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from alpenhorn.db.queries import filters
from alpenhorn.errors import AlpenhornError, NotFound
from alpenhorn.services import lookup


def select(path: str, root: str | None) -> None:
    """Read a list and make `FileFilter.listed` mean its files.

    Args:
        path: the list; ``-`` for standard input.
        root: root of the operation's node; absolute entries below it are accepted.

    Raises:
        NotFound: an entry names no file; says where.
        AlpenhornError: the list cannot be read.
    """
    name = "stdin" if path == "-" else path
    entries = {number: _strip_root(entry, root) for number, entry in _read(path, name)}
    file_ids = lookup.resolve_files(entries.values())
    for number, entry in entries.items():
        if entry not in file_ids:
            where = f"line {number} of {lookup.shown(name)}"
            raise NotFound(f'No such file in {where}: "{lookup.shown(entry)}".')
    filters.select_files(file_ids.values())


def _read(path: str, name: str) -> list[tuple[int, str]]:
    try:
        with click.open_file(path, encoding="utf-8", errors="surrogateescape") as lines:
            return list(_entries(lines))
    except OSError as error:
        cause = error.strerror or error
        raise AlpenhornError(f"Unable to read file list {lookup.shown(name)}: {cause}") from error


def _entries(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield line number, from 1, and entry; neither comments nor empty lines."""
    for number, line in enumerate(lines, start=1):
        entry = line.strip(" \t\r\n")
        if entry and not line.startswith("#"):
            yield number, entry


def _strip_root(entry: str, root: str | None) -> str:
    below = lookup.strip_root(entry, root) if root and entry.startswith("/") else None
    return below or entry
