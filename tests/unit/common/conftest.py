"""Isolation from the machine's own configuration, and a way to load one from text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alpenhorn.common import config

Configure = Callable[[str], None]


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("ALPENHORN_CONFIG_FILE", raising=False)
    monkeypatch.setattr(config, "_config", {})
    config.test_isolation()
    yield
    config.test_isolation(False)


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    def load(text: str) -> None:
        path = tmp_path / "test.conf"
        path.write_text(text)
        config.load_config(path, cli=False)

    return load
