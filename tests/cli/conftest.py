"""A user at the command line: ``run("node", "stats")`` over a real index."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.cli.main import run as run_program
from alpenhorn.db import connection


@dataclass(frozen=True)
class Result:
    """What the user sees."""

    stdout: str
    stderr: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Terminal:
    """Runs command lines in this process, with the configuration file of the test."""

    def __init__(self, conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.conf = conf
        self.monkeypatch = monkeypatch

    def __call__(self, *args: object, input: str = "") -> Result:
        streams = {
            "stdin": io.TextIOWrapper(io.BytesIO(input.encode()), encoding="utf-8"),
            "stdout": io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True),
            "stderr": io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True),
        }
        with self.monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            code = run_program(["--conf", str(self.conf), *map(str, args)])
        printed = [streams[name].buffer.getvalue().decode() for name in ("stdout", "stderr")]
        return Result(*printed, code)


@pytest.fixture
def conf(tmp_path: Path, database_url: str) -> Path:
    """The configuration file of the test; its database is that of the fixture `index`."""
    path = tmp_path / "alpenhorn.conf"
    path.write_text(f"database:\n  url: {database_url}\n")
    return path


@pytest.fixture
def run(conf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Run a command line; use `index` or `make` too for an initialised Data Index."""
    yield Terminal(conf, monkeypatch)
    if connection.database_proxy.obj is not None:
        connection.close()


@pytest.fixture(scope="session")
def terminal_class() -> type[Terminal]:
    """For fixtures that live longer than a test."""
    return Terminal


@pytest.fixture
def dump(index: Any) -> Any:
    """Return a function that dumps all tables: a command that fails must not change them."""

    def dump() -> dict[str, list[Any]]:
        database = connection.database_proxy
        return {
            name: database.execute_sql(f"SELECT * FROM {name} ORDER BY 1").fetchall()
            for name in sorted(database.get_tables())
        }

    return dump
