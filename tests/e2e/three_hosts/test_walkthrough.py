"""The walkthrough on machines like its own: five hosts, MariaDB, ssh, its configuration file."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

import pytest

from alpenhorn import db
from alpenhorn.demo.daemons import Daemons
from alpenhorn.demo.narrator import Narrator
from alpenhorn.demo.player import Player
from alpenhorn.demo.problems import Unexpected
from alpenhorn.demo.script import SECTIONS
from e2e.three_hosts.stage import Stage
from e2e.three_hosts.world import HOSTS, World

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Played:
    """What came of the walkthrough; `steps` are sections, titles and seconds."""

    world: World
    steps: list[tuple[str, str, float]]
    files: int


class Watch(Narrator):
    """Notes when steps begin."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._section = ""
        self._begun: list[tuple[str, str, float]] = []

    def section(self, title: str) -> None:
        self._section = title
        super().section(title)

    def step(self, title: str, why: str) -> None:
        self._begun.append((self._section, title, time.monotonic()))
        super().step(title, why)

    def steps(self) -> list[tuple[str, str, float]]:
        """All steps with how long they took."""
        ends = [begin for _, _, begin in self._begun[1:]] + [time.monotonic()]
        return [
            (section, title, end - begin)
            for (section, title, begin), end in zip(self._begun, ends, strict=True)
        ]


@pytest.fixture(scope="module")
def played(build: Callable[..., World]) -> Played:
    """The whole walkthrough, played once."""
    world = build()
    stage = Stage(world.home, world)
    story = io.StringIO()
    watch = Watch(story)
    with Daemons(stage) as daemons:
        player = Player(stage, daemons, watch)
        try:
            player.play(SECTIONS)
            steps = watch.steps()
            files, _ = player.moved()
        except Unexpected as error:
            pytest.fail(f"step {player.step_title!r}: {error}\n{story.getvalue()[-6000:]}")
        finally:
            db.close()
    return Played(world, steps, files)


def test_all_steps_come_out_with_mariadb_and_ssh(played: Played) -> None:
    """See the list of them with ``pytest -rP``."""
    for number, (section, title, seconds) in enumerate(played.steps, start=1):
        print(f"{number:2}  ok  {seconds:4.1f} s  {section}: {title}")
    scripted = [(section.title, step.title) for section in SECTIONS for step in section.steps]
    assert [step[:2] for step in played.steps] == scripted
    assert played.files == 33


def test_hosts_reached_each_other_by_ssh(played: Played) -> None:
    """With keys that both sides know, and nothing else: all logins are in the servers' logs."""
    for host in HOSTS[:2]:
        log = played.world.log(host, "sshd").read_text()
        assert "Accepted publickey for root from 10.77.0." in log
        assert "Failed" not in log
