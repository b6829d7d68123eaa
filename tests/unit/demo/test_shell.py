"""The stand-in for ssh takes what rsync gives it, and runs commands on the demo's hosts only."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alpenhorn.demo import shell

SHELL = [sys.executable, "-m", "alpenhorn.demo.shell"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-l", "root"],
        ["-lroot"],
        ["-q", "-l", "root"],
        ["-ql", "root"],
        ["-o", "BatchMode=yes", "-p22", "-l", "root"],
        ["-l", "root", "--"],
    ],
)
def test_options_of_ssh_are_passed_over(options: list[str]) -> None:
    words = [*options, "alpenhost2", "rsync", "--server", "."]
    assert shell.parse(words) == ("alpenhost2", "rsync --server .")


def test_the_user_may_stand_before_the_host() -> None:
    assert shell.parse(["root@alpenhost1", "true"]) == ("alpenhost1", "true")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no host given"),
        (["-l"], "option -l needs a value"),
        (["-l", "root"], "no host given"),
        (["example.org", "true"], "no such host in the demo: 'example.org'"),
        (["alpenhost1"], "no command given"),
    ],
)
def test_wrong_arguments_are_told(words: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        shell.parse(words)


def test_the_words_are_joined_and_given_to_a_shell_with_input_and_status() -> None:
    words = ["-l", "root", "alpenhost3", "cat;", "echo", "'a  b'", ">&2;", "exit", "3"]
    done = subprocess.run([*SHELL, *words], input=b"\x00data", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"\x00data", b"a  b\n")


def test_another_host_cannot_be_reached() -> None:
    done = subprocess.run([*SHELL, "elsewhere", "echo ran"], capture_output=True, text=True)
    assert done.returncode == shell.CANNOT_CONNECT
    assert done.stdout == ""
    assert done.stderr.startswith("alpenhorn.demo.shell: no such host in the demo: 'elsewhere'")
    assert len(done.stderr.splitlines()) == 1


def test_it_starts_fast_because_it_imports_nothing_from_outside() -> None:
    code = "import sys, alpenhorn.demo.shell; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not loaded & {"click", "peewee", "rich", "yaml", "logging", "subprocess"}
