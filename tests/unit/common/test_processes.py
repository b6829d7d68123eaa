"""Commands and calls with a time limit: nothing hangs, nothing is left behind."""

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from alpenhorn.common import processes
from alpenhorn.common.processes import kill_all, run_command, timeout_call

# A parent and a child that both hold the FIFO open and ignore polite signals.
FAMILY = "trap '' TERM HUP; exec 9>\"$0\"; echo up >&9; sleep 600 & sleep 600"


class Lifeline:
    """A FIFO that commands hold open: it ends when the last of them is dead."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = str(path)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def wait(self):
        """Return what was written, b'' at the end of the last holder."""
        ready, _, _ = select.select([self.fd], [], [], 20)
        assert ready, "nothing happened in time"
        return os.read(self.fd, 100)


@pytest.fixture
def lifeline(tmp_path):
    line = Lifeline(tmp_path / "lifeline")
    yield line
    os.close(line.fd)


def test_status_and_both_outputs_are_returned():
    command = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    assert run_command(command) == (3, "out\n", "err\n")


def test_bytes_that_are_no_utf8_are_replaced():
    assert run_command(["cat"], input=b"a\xffb") == (0, "a\ufffdb", "")


def test_without_input_there_is_nothing_to_read():
    assert run_command(["cat"], timeout=20) == (0, "", "")


def test_further_keywords_go_to_popen(tmp_path):
    env = {"PATH": os.environ["PATH"], "WORD": "x"}
    result = run_command(["sh", "-c", "pwd; echo $WORD"], cwd=tmp_path, env=env)
    assert result == (0, f"{tmp_path}\nx\n", "")


def test_a_missing_program_is_an_error():
    with pytest.raises(FileNotFoundError):
        run_command(["/no/such/program"])


def test_a_command_has_a_session_of_its_own_and_so_no_terminal():
    status, out, _ = run_command([sys.executable, "-c", "import os; print(os.getsid(0))"])
    assert status == 0
    assert int(out) != os.getsid(0)


def test_a_timed_out_command_dies_with_its_children(lifeline, caplog):
    caplog.set_level(logging.DEBUG)
    started = time.monotonic()
    result = run_command(["sh", "-c", FAMILY, lifeline.path], timeout=1)
    assert result == (None, "", "")
    assert time.monotonic() - started < 5
    assert lifeline.wait() == b"up\n"
    assert lifeline.wait() == b""
    assert [record.levelname for record in caplog.records] == ["DEBUG", "WARNING"]
    assert caplog.messages[0].startswith("Running command [time limit 1 s]: sh -c ")


def test_a_timed_out_command_is_reaped():
    pids = []
    real = subprocess.Popen

    class Spy(real):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            pids.append(self.pid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Spy)
        run_command(["sleep", "600"], timeout=0.1)
    with pytest.raises(ChildProcessError):
        os.waitpid(pids[0], os.WNOHANG)


def test_a_child_that_left_the_group_cannot_hold_a_timed_out_command():
    command = ["sh", "-c", "setsid sleep 10 & sleep 600"]
    started = time.monotonic()
    assert run_command(command, timeout=0.3) == (None, "", "")
    assert time.monotonic() - started < 5


def test_kill_all_ends_running_commands_at_once(lifeline):
    results = []
    worker = threading.Thread(
        target=lambda: results.append(run_command(["sh", "-c", FAMILY, lifeline.path]))
    )
    worker.start()
    assert lifeline.wait() == b"up\n"
    kill_all()
    worker.join(20)
    assert results == [(-signal.SIGKILL, "", "")]
    assert lifeline.wait() == b""


DAEMON = """
import sys
from alpenhorn.common import processes

class Registry(processes._Registry):
    def start(self, words, options):
        process = super().start(words, options)
        print("guard was told", flush=True)
        return process

processes._registry = Registry()
processes.run_command(["sh", "-c", sys.argv[1], sys.argv[2]])
"""


def test_commands_die_with_a_daemon_that_is_killed_by_force(lifeline):
    daemon = subprocess.Popen(
        [sys.executable, "-c", DAEMON, FAMILY, lifeline.path], stdout=subprocess.PIPE
    )
    with daemon:
        assert lifeline.wait() == b"up\n"
        assert daemon.stdout.readline() == b"guard was told\n"
        daemon.kill()
    assert daemon.returncode == -signal.SIGKILL
    assert lifeline.wait() == b""


GUARDING = """
import subprocess, sys
from alpenhorn.common import processes

child = subprocess.Popen(["sh", "-c", sys.argv[1], sys.argv[2]], start_new_session=True)
processes.guard(child)
print("guarded", flush=True)
if sys.argv[3] == "waits":
    child.wait()
else:
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["waits", "returns"])
def test_what_is_guarded_dies_with_the_program(lifeline, how):
    """Whether it is killed by force or comes to its regular end."""
    command = [sys.executable, "-c", GUARDING, FAMILY, lifeline.path, how]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as program:
        assert lifeline.wait() == b"up\n"  # before the program may end, or the guard is faster
        assert program.stdout.readline() == b"guarded\n"
        if how == "waits":
            program.kill()
        else:
            program.stdin.close()
    assert lifeline.wait() == b""


def test_what_is_no_longer_guarded_is_left_alone():
    with subprocess.Popen(["true"], start_new_session=True) as process:
        processes.guard(process)
        assert processes._registry.groups() == (process.pid,)
    processes.unguard(process)
    assert processes._registry.groups() == ()


def test_a_guard_that_was_killed_is_replaced():
    run_command(["true"])
    guard = processes._registry._guard
    guard.kill()
    guard.wait(20)
    assert run_command(["echo", "x"]) == (0, "x\n", "")
    assert processes._registry._guard.poll() is None
    assert processes._registry._guard is not guard


def test_finished_commands_are_forgotten():
    run_command(["true"])
    with contextlib.suppress(FileNotFoundError):
        run_command(["/no/such/program"])
    assert processes._registry.groups() == ()


def test_a_call_within_its_time_gives_its_result_or_its_exception():
    assert timeout_call(divmod, 20, 7, 2) == (3, 1)
    assert timeout_call(int, 20, "ff", base=16) == 255
    with pytest.raises(ZeroDivisionError):
        timeout_call(divmod, 20, 1, 0)


def test_a_hung_call_is_abandoned():
    release = threading.Event()
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="took longer than"):
        timeout_call(release.wait, 0.05, 60)
    assert time.monotonic() - started < 10
    release.set()


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_without_time_there_is_no_call(limit):
    calls = []
    with pytest.raises(TimeoutError):
        timeout_call(calls.append, limit, 1)
    assert calls == []


def test_a_call_keeps_the_thread_name_for_the_log():
    assert timeout_call(lambda: threading.current_thread().name, 20) == "MainThread"


def test_a_hung_call_does_not_keep_the_program_from_ending():
    code = (
        "import time; from alpenhorn.common.processes import timeout_call\n"
        "try: timeout_call(time.sleep, 0.1, 600)\n"
        "except TimeoutError: print('abandoned')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, text=True)
    assert (done.returncode, done.stdout) == (0, "abandoned\n")
