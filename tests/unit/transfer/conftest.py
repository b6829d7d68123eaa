"""A real ssh server for the tests of logins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import sshd as servers
from alpenhorn.transfer import sharing


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Sshd]:
    """A server that the ssh in PATH knows."""
    try:
        with servers.running(tmp_path / "sshd") as server:
            monkeypatch.setenv("PATH", f"{server.bin}:{os.environ['PATH']}")
            monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
            yield server
    except servers.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def shared(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Connections are shared, as in a daemon."""
    sharing.start()
    yield
    sharing.stop()
