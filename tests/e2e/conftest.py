"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.hosts import Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is marked ``e2e``."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make a site with the given hosts and a fresh index; its processes end with the test."""
    with ExitStack() as stack:

        def make(*hosts: str, **daemon: Any) -> Site:
            site = stack.enter_context(Site(tmp_path, *hosts, **daemon))
            site.init()
            return site

        yield make
