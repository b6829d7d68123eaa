"""What all kinds of extension have in common: a name, a version, and what they need."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import ClassVar

from packaging.version import Version

import alpenhorn
from alpenhorn.db import schema_version

log = logging.getLogger(__name__)


class Extension:
    """Base of the extension classes; not to be constructed by third parties.

    Args:
        name: unique within its module; blanks around it are dropped; no dots.
        version: the extension's own version (PEP 440).
        min_version: lowest alpenhorn version that it works with.
        max_version: highest alpenhorn version that it works with.
        require_schema: requirement for each Data Index component that it needs, in a form of
            `alpenhorn.db.schema_version` (spec: data-index.md §5.2).

    Raises:
        ValueError: a name or version is malformed.
        TypeError: an argument is of the wrong type.
    """

    stage: ClassVar[int] = 2
    """1: initialised before the connection to the Data Index is made; 2: afterwards."""

    full_name: str | None
    """``<module>.<name>``; None until the loader has seen the extension."""

    def __init__(
        self,
        name: str,
        version: str,
        min_version: str | None = None,
        max_version: str | None = None,
        require_schema: Mapping[str, int | str] | None = None,
    ) -> None:
        if require_schema is not None and not isinstance(require_schema, Mapping):
            raise TypeError("require_schema must be a dict")
        self.name = _checked_name(name)
        self.full_name = None
        self.version = _parsed(version)
        self.min_version = None if min_version is None else _parsed(min_version)
        self.max_version = None if max_version is None else _parsed(max_version)
        self.require_schema = require_schema

    def init_extension(self) -> bool:
        """Tell whether this extension can be used here; if not, a WARNING says why (X-4)."""
        obstacle = self.obstacle()
        if obstacle:
            log.warning(f"Skipping init of Extension {self.full_name}: {obstacle}")
            return False
        log.debug(f"Initialised Extension {self.full_name} v{self.version}")
        return True

    def obstacle(self) -> str | None:
        """Say what keeps this extension from being used, None if nothing does.

        Raises:
            IndexUnreachable: the versions in the Data Index cannot be read.
        """
        return next(self._obstacles(), None)

    def _obstacles(self) -> Iterator[str]:
        have = Version(alpenhorn.__version__)
        if self.min_version and have < self.min_version:
            yield f"Alpenhorn too old: {have} < {self.min_version}"
        if self.max_version and have > self.max_version:
            yield f"Alpenhorn too new: {have} > {self.max_version}"
        if self.stage > 1:
            yield from self._schema_obstacles()

    def _schema_obstacles(self) -> Iterator[str]:
        for component, requirement in (self.require_schema or {}).items():
            which = f'Schema requirement "{requirement}" for "{component}"'
            try:
                met = schema_version(
                    component=component, component_version=requirement, return_check=True
                )
            except ValueError:
                yield f"{which} cannot be understood."
            else:
                if not met:
                    yield f"{which} failed."


def _checked_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError("name must be a string")
    stripped = name.strip()
    if not stripped:
        raise ValueError("name is empty")
    if "." in stripped:
        raise ValueError(f"invalid name: {stripped}")
    return stripped


def _parsed(version: str) -> Version:
    if not isinstance(version, str):
        raise ValueError(f"version must be a string: {version!r}")
    return Version(version)
