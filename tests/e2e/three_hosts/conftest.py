"""The machines, built once for each file of tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from e2e.three_hosts.world import CONFIGURATION, World
from servers import Unavailable


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., World]]:
    """Build the machines; they end with the last test of the file."""
    worlds: list[World] = []

    def make(configuration: str = CONFIGURATION) -> World:
        try:
            worlds.append(World(tmp_path_factory.mktemp("world"), configuration))
        except Unavailable as error:
            pytest.skip(str(error))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()
