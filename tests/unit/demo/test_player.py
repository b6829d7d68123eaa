"""The player shows what happens, and stops at the first thing that does not come out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.db import connection
from alpenhorn.demo.daemons import Daemons
from alpenhorn.demo.narrator import Narrator
from alpenhorn.demo.player import Player
from alpenhorn.demo.problems import Unexpected
from alpenhorn.demo.site import Site, build
from alpenhorn.demo.steps import (
    Action,
    Expectation,
    Holds,
    InShell,
    Logs,
    OnHost,
    Section,
    StartDaemon,
    Step,
)

DB_INIT = InShell("alpenhorn db init", "Data Index version 2 initialised.")
ASK = "python -c 'print(input(\"Continue? [y/N]: \"))'"


class Theatre:
    """Plays single steps; `story` is what the newcomer has read."""

    def __init__(self, site: Site, patience: float) -> None:
        self.site = site
        self.stream = io.StringIO()
        self.daemons = Daemons(site)
        self.player = Player(site, self.daemons, Narrator(self.stream), patience)

    @property
    def story(self) -> str:
        return self.stream.getvalue()

    def play(self, *actions: Action, expect: tuple[Expectation, ...] = ()) -> None:
        step = Step("The title", "The reason.", actions, expect)
        self.player.play([Section("The chapter", (step,))])


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Theatre]:
    theatre = Theatre(build(tmp_path / "demo"), patience=30)
    with theatre.daemons:
        yield theatre
    connection.close()


@pytest.fixture
def impatient(theatre: Theatre) -> Theatre:
    theatre.player._patience = 0.3
    return theatre


def test_the_story_has_heading_reason_command_and_output(theatre: Theatre) -> None:
    theatre.play(DB_INIT)
    assert theatre.story == (
        "\nThe chapter\n===========\n\nThe title\n---------\nThe reason.\n\n"
        "alpenshell$ alpenhorn db init\nData Index version 2 initialised.\n"
    )
    assert theatre.player.played == 1


def test_host_commands_run_in_the_root_of_the_node(theatre: Theatre) -> None:
    theatre.play(OnHost("alpenhost2", "touch x; pwd; echo {data2}", "{data2}\n{data2}"))
    assert (theatre.site.data("alpenhost2") / "x").exists()


def test_another_output_is_told_with_the_one_expected(theatre: Theatre) -> None:
    with pytest.raises(Unexpected) as caught:
        theatre.play(OnHost("alpenhost1", "echo no", "yes"))
    assert (caught.value.expected, caught.value.found) == ("this output:\nyes", "this:\nno")
    assert theatre.player.step_title == "The title"
    assert theatre.player.played == 0


def test_a_command_that_fails_is_told_even_if_its_output_is_right(theatre: Theatre) -> None:
    with pytest.raises(Unexpected, match="exit status 0, found 3"):
        theatre.play(OnHost("alpenhost1", "echo yes; exit 3", "yes"))


def test_what_is_typed_at_a_question_is_shown_as_on_a_terminal(theatre: Theatre) -> None:
    theatre.play(InShell(ASK, "Continue? [y/N]: y\ny", answer="y"))
    assert "Continue? [y/N]: y\ny\n" in theatre.story


def test_a_command_that_hangs_is_ended(impatient: Theatre) -> None:
    with pytest.raises(Unexpected, match="an end within 0 s"):
        impatient.play(OnHost("alpenhost1", "exec tail -f /dev/null"))


@pytest.mark.slow
def test_a_daemon_is_a_process_whose_log_lines_are_shown(theatre: Theatre) -> None:
    theatre.play(DB_INIT)
    theatre.play(
        InShell("python -c 'import pattern_importer as p; p.demo_init()'", "Plugin init complete.")
    )
    theatre.play(
        StartDaemon("alpenhost1"),
        expect=(Logs("alpenhost1", ("Alpenhorn start.", "No active nodes on host (alpenhost1)!")),),
    )
    assert "\nalpenhost1 | " in theatre.story
    assert " WARNING >> [MainThread] No active nodes on host (alpenhost1)!\n" in theatre.story


def test_a_line_that_does_not_come_is_told(impatient: Theatre) -> None:
    with pytest.raises(Unexpected) as caught:
        impatient.play(expect=(Logs("alpenhost1", ("Alpenhorn start.",)),))
    assert caught.value.expected == 'the daemon on alpenhost1 to log "Alpenhorn start."'


@pytest.mark.slow
def test_a_node_that_does_not_become_as_it_should_is_told(theatre: Theatre) -> None:
    theatre.play(DB_INIT)
    theatre.player._patience = 0.3
    with pytest.raises(Unexpected) as caught:
        theatre.play(expect=(Holds("demo_storage1"),))
    assert caught.value.expected == "a storage node demo_storage1"


@pytest.mark.slow
def test_what_was_checked_is_told(theatre: Theatre) -> None:
    theatre.play(DB_INIT)
    create = "alpenhorn node create demo_storage1 --create-group --root={data1} --host=alpenhost1"
    created = 'Created storage group "demo_storage1".\nCreated storage node "demo_storage1".'
    node_file = OnHost("alpenhost1", "touch ALPENHORN_NODE; echo > new.dat")
    nothing_but_new = Holds("demo_storage1", unknown=("new.dat",))
    theatre.play(InShell(create, created), node_file, expect=(nothing_but_new,))
    assert theatre.story.endswith(
        "checked: demo_storage1 holds 1 unregistered file, in the Data Index and on its disk\n"
    )


def test_a_daemon_that_ends_is_noticed_at_once(theatre: Theatre) -> None:
    """Not after the time-out: there is no Data Index yet, so the daemon gives up."""
    with pytest.raises(Unexpected) as caught:
        theatre.play(
            StartDaemon("alpenhost1"), expect=(Logs("alpenhost1", ("It will never say this.",)),)
        )
    assert caught.value.expected == "a running daemon on alpenhost1"


@pytest.mark.slow
def test_no_daemon_is_left_behind(theatre: Theatre) -> None:
    theatre.play(DB_INIT)
    theatre.play(StartDaemon("alpenhost1"), expect=(Logs("alpenhost1", ("Alpenhorn start.",)),))
    process: Any = theatre.daemons._running["alpenhost1"]
    theatre.daemons.stop()
    assert process.returncode is not None


@pytest.mark.slow
def test_a_daemon_that_does_not_listen_is_killed(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpenhorn.demo.daemons.PATIENCE_S", 0.1)
    theatre.play(DB_INIT)
    idle = Logs("alpenhost1", ("No active nodes on host (alpenhost1)!",))
    theatre.play(StartDaemon("alpenhost1"), expect=(idle,))
    process: Any = theatre.daemons._running["alpenhost1"]
    process.send_signal(19)  # SIGSTOP: it cannot react to anything milder than SIGKILL
    theatre.daemons.stop()
    assert process.returncode == -9
