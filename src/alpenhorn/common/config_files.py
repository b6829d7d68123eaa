"""Find, read and merge the configuration files (spec: config.md §1-§3).

All files that exist are read; later ones take precedence. A file that exists but cannot be used is
an error that names it, with the line where known (K-1, K-2).
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from alpenhorn.errors import ConfigError

log = logging.getLogger(__name__)

STANDARD_FILES = (
    "/etc/alpenhorn/alpenhorn.conf",
    "/etc/xdg/alpenhorn/alpenhorn.conf",
    "~/.config/alpenhorn/alpenhorn.conf",
)
ENVIRONMENT_VARIABLE = "ALPENHORN_CONFIG_FILE"


class _Source(NamedTuple):
    """A place to look for a file; `origin` is set if its absence deserves a warning."""

    name: str
    origin: str | None

    @property
    def path(self) -> str:
        return os.path.abspath(os.path.expandvars(os.path.expanduser(self.name)))  # noqa: PTH100, PTH111


@dataclass(frozen=True)
class Place:
    """What became of one place where a configuration file may lie.

    Args:
        path: the place, absolute.
        origin: who named it: ``on command line``, ``by <variable>``; None: a standard place.
        tree: the contents; None: there is no file, or it cannot be used.
        problem: why it cannot be used, else None.
    """

    path: str
    origin: str | None
    tree: dict[Any, Any] | None
    problem: str | None


def read_all(cli_conf: str | os.PathLike[str] | None, standard: bool) -> dict[Any, Any]:
    """Read all files that exist, in order.

    Args:
        cli_conf: path given with ``--conf``, or None.
        standard: whether to read the three standard files too.

    Returns:
        The merged tree.

    Raises:
        ConfigError: no file was found, or one cannot be read or is no YAML mapping.
    """
    contents = [_read(source) for source in _without_repeats(_sources(cli_conf, standard))]
    found = [tree for tree in contents if tree is not None]
    if not found:
        raise ConfigError("No configuration files available.  See --help-config for more details.")
    return merge_all(found)


def read_each(cli_conf: str | os.PathLike[str] | None, standard: bool) -> Iterator[Place]:
    """Read all files as `read_all` does, but tell what is wrong with each instead of raising."""
    for source in _without_repeats(_sources(cli_conf, standard)):
        try:
            yield Place(source.path, source.origin, _read(source), None)
        except ConfigError as error:
            yield Place(source.path, source.origin, None, error.message)


def merge_all(trees: Iterable[dict[Any, Any]]) -> dict[Any, Any]:
    """Merge configuration trees, of which later ones take precedence."""
    return functools.reduce(merge_dict_tree, trees, {})


def merge_dict_tree(a: dict[Any, Any], b: dict[Any, Any]) -> dict[Any, Any]:
    """Merge two configuration trees; `b` takes precedence (spec: config.md §3).

    Args:
        a: the older tree. Not changed.
        b: the newer tree. Not changed.

    Returns:
        A new tree: mappings merged key by key, sequences joined, anything else from `b`.
    """
    merged = dict(a)
    for key, new in b.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            merged[key] = merge_dict_tree(old, new)
        elif isinstance(old, list) and isinstance(new, list):
            merged[key] = old + new
        else:
            merged[key] = new
    return merged


def _sources(cli_conf: str | os.PathLike[str] | None, standard: bool) -> list[_Source]:
    sources = [_Source(name, None) for name in STANDARD_FILES if standard]
    if name := os.environ.get(ENVIRONMENT_VARIABLE):
        sources.append(_Source(name, f"by {ENVIRONMENT_VARIABLE}"))
    if cli_conf is not None:
        sources.append(_Source(os.fspath(cli_conf), "on command line"))
    return sources


def _without_repeats(sources: list[_Source]) -> list[_Source]:
    """Keep each real file once, at its last place (spec: config.md K-4)."""
    last = {os.path.realpath(source.path): source for source in sources}
    return [source for source in sources if last[os.path.realpath(source.path)] is source]


def _read(source: _Source) -> dict[Any, Any] | None:
    """Return the contents of one file, or None if it does not exist."""
    try:
        data = Path(source.path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if source.origin:
            log.warning(f"Config file {source.path} defined {source.origin} not found.")
        return None
    except OSError as error:
        raise ConfigError(f"cannot read config file {source.path}: {error.strerror}") from None
    log.info(f"Loading config file {source.name}")
    return _parse(source.path, data)


def _parse(path: str, data: bytes) -> dict[Any, Any]:
    # Loading YAML takes longer than the rest of this module; help texts do without it.
    import yaml

    try:
        contents = yaml.safe_load(data)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        cause = error.problem or error.context or "invalid YAML"
        raise ConfigError(f"cannot read config file {path}{line}: {cause}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        cause = " ".join(str(error).split())
        raise ConfigError(f"cannot read config file {path}: {cause}") from None
    if contents is None:
        return {}
    if not isinstance(contents, dict):
        raise ConfigError(f"cannot use config file {path}: mapping expected at top level")
    return contents
