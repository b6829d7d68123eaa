"""A clean loader, and extension modules written by the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alpenhorn.common import config
from alpenhorn.extensions import failures, loader

Listing = Callable[..., None]


@pytest.fixture(autouse=True)
def clean_loader() -> Iterator[None]:
    loader.reset()
    failures.reset()
    yield
    loader.reset()
    failures.reset()


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listing]:
    """Writes modules, given as name=source, and lists them in the configuration."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write(**sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(HEADER + source)
            written.append(name)
        monkeypatch.setattr(config, "_config", {"extensions": list(sources)})

    yield write
    for name in written:
        sys.modules.pop(name, None)


HEADER = """
import peewee
from alpenhorn.extensions import *
from alpenhorn.io.base import BaseGroupIO, BaseNodeIO

def detector(name, **keywords):
    return ImportDetectExtension(name, "1.0", lambda path, node: (None, None), **keywords)

def database(name, **keywords):
    return DatabaseExtension(name, "1.0", connect=lambda config: None, **keywords)
"""
