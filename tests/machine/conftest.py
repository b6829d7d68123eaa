"""Worlds on a file system in memory, where there is one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from machine.world import TOTAL, prepared


@pytest.fixture(scope="module")
def worlds() -> Iterator[Callable[..., Any]]:
    """A context manager that makes a world; see `machine.world.World`."""
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(
            prefix="alpenhorn-machine-", dir=memory if memory.is_dir() else None
        ) as directory,
        prepared(Path(directory)) as make,
    ):
        TOTAL.clear()
        yield make
    print("\n" + ", ".join(f"{count} {what}" for what, count in TOTAL.items()))
