"""Lines are found in a daemon's log from the beginning of a step on."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpenhorn.demo.daemon_log import DaemonLog

STAMP = "Feb 21 00:38:32 INFO >> [Worker#1] "


class Daemon:
    """Writes a log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def says(self, *messages: str, end: str = "\n") -> None:
        with self.path.open("a") as log:
            log.write("\n".join(f"{STAMP}{message}" for message in messages) + end)


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path / "log")


def test_a_log_that_is_not_there_yet_lacks_everything(tmp_path: Path) -> None:
    log = DaemonLog(tmp_path / "log")
    log.mark()
    assert log.find(["Alpenhorn start."], {}) == ([], "Alpenhorn start.")


def test_lines_are_found_in_the_order_of_the_log(daemon: Daemon) -> None:
    daemon.says("one", "other", "two")
    shown, missing = DaemonLog(daemon.path).find(["two", "one"], {})
    assert shown == [f"{STAMP}one", f"{STAMP}two"]
    assert missing == ""


def test_lines_of_earlier_steps_do_not_count(daemon: Daemon) -> None:
    log = DaemonLog(daemon.path)
    daemon.says("one")
    log.mark()
    assert log.find(["one"], {}) == ([], "one")
    daemon.says("one")
    assert log.find(["one"], {}) == ([f"{STAMP}one"], "")


def test_a_line_named_twice_must_be_written_twice(daemon: Daemon) -> None:
    log = DaemonLog(daemon.path)
    daemon.says("Started.")
    assert log.find(["Started."] * 2, {})[1] == "Started."
    daemon.says("Started.")
    assert log.find(["Started."] * 2, {})[1] == ""


def test_a_message_must_be_the_whole_message(daemon: Daemon) -> None:
    daemon.says("Node updated. Or not.")
    assert DaemonLog(daemon.path).find(["Node updated."], {})[1] == "Node updated."


def test_a_line_that_is_being_written_does_not_count(daemon: Daemon) -> None:
    daemon.says("Alpenhorn start.", end="")
    assert DaemonLog(daemon.path).find(["Alpenhorn start."], {})[1] == "Alpenhorn start."


def test_all_transfers_are_counted_whatever_the_mark(daemon: Daemon) -> None:
    log = DaemonLog(daemon.path)
    daemon.says("Pull of a/b c complete. Transferred 12 B in 0.1s [90 B/s]", "Pull of x failed")
    log.mark()
    daemon.says("Pull of a/d complete. Transferred 12 B in 0.1s [90 B/s]")
    assert list(log.pulled()) == ["a/b c", "a/d"]
