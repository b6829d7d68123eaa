"""One connection per route, with a real ssh server on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket as socket_module
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from alpenhorn.common.processes import run_command
from alpenhorn.errors import FailureClass
from alpenhorn.transfer import sharing
from alpenhorn.transfer.batch import Endpoint
from alpenhorn.transfer.failures import TransferFailed
from alpenhorn.transfer.options import read_options
from sshd import Sshd, make_key

pytestmark = pytest.mark.slow  # each logs in several times


def source(sshd: Sshd, **config: object) -> Endpoint:
    return Endpoint(False, sshd.address, "/", read_options({**sshd.options, **config}))


def sockets() -> list[Path]:
    assert sharing._sharing.connections is not None
    return [path for path in sharing._sharing.connections._directory.iterdir() if path.is_socket()]


def say(endpoint: Endpoint, *words: str) -> str:
    """Log in and run a command; its output must be read to the end at once."""
    status, out, err = run_command([*sharing.login(endpoint), *words], timeout=20)
    assert status == 0, err
    return out


def holder(socket: Path) -> int:
    """The id of the process that holds a connection."""
    done = subprocess.run(
        ["ssh", "-O", "check", "-o", f"ControlPath={socket}", "x"], capture_output=True, text=True
    )
    return int(done.stderr.split("pid=")[1].split(")")[0])


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_many_commands_share_one_login(sshd: Sshd, shared: None) -> None:
    endpoint = source(sshd)
    assert [say(endpoint, "echo", str(n)) for n in range(5)] == [f"{n}\n" for n in range(5)]
    assert sshd.logins() == 1


def test_workers_that_begin_together_share_one_login(sshd: Sshd, shared: None) -> None:
    threads = [threading.Thread(target=say, args=(source(sshd), "echo", "hello")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sshd.logins() == 1


def test_nobody_else_can_enter_the_directory_of_the_sockets(sshd: Sshd, shared: None) -> None:
    say(source(sshd), "true")
    [socket] = sockets()
    status = socket.parent.stat()
    assert stat.S_IMODE(status.st_mode) == 0o700
    assert status.st_uid == os.getuid()
    assert len(str(socket)) + 17 < 104, "the limit of some systems"


def test_another_port_or_key_is_another_connection(sshd: Sshd, shared: None) -> None:
    say(source(sshd), "true")
    other = str(shutil.copy(sshd.key, sshd.directory / "same_key"))
    say(source(sshd, ssh_identity=other), "true")
    assert len(sockets()) == 2
    assert sshd.logins() == 2


def test_the_shared_connection_holds_nobodys_pipes_nor_group(sshd: Sshd, shared: None) -> None:
    """Else the first command would seem to run for as long as the connection is kept."""
    say(source(sshd), "true")
    pid = holder(sockets()[0])
    kept = {str(Path(f"/proc/{pid}/fd/{n}").readlink()) for n in (0, 1, 2)}
    assert not [name for name in kept if name.startswith("pipe:")]
    assert os.getsid(pid) == os.getpgid(pid) != os.getpgid(0)


def test_an_ssh_that_keeps_standard_error_open_is_not_waited_for(
    sshd: Sshd, shared: None, tmp_path: Path
) -> None:
    """Versions before 8.5 do, for as long as the connection is kept."""
    keeps = f"sleep 1000 & echo $! > {tmp_path}/pid; exit 0"
    (sshd.bin / "ssh").write_text(f"#!/bin/sh\n{keeps}\n")
    before = time.monotonic()
    sharing.login(source(sshd))
    assert time.monotonic() - before < 60
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_killed_command_leaves_the_connection_to_others(sshd: Sshd, shared: None) -> None:
    endpoint = source(sshd)
    status, _, _ = run_command([*sharing.login(endpoint), "sleep", "1000"], timeout=0.5)
    assert status is None
    assert say(endpoint, "echo", "still here") == "still here\n"
    assert sshd.logins() == 1


def test_the_end_leaves_neither_process_nor_directory(sshd: Sshd, shared: None) -> None:
    say(source(sshd), "true")
    [socket] = sockets()
    pid = holder(socket)
    sharing.stop()
    assert ends(pid)
    assert not socket.parent.exists()


def test_a_stale_socket_is_harmless(sshd: Sshd, shared: None) -> None:
    """The connection's process was killed, or its host went away."""
    say(source(sshd), "true")
    pid = holder(sockets()[0])
    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    assert sockets(), "left behind"
    assert say(source(sshd), "echo", "again") == "again\n"
    assert say(source(sshd), "echo", "again") == "again\n"
    assert sshd.logins() == 2


def test_a_connection_given_up_is_not_used_again(sshd: Sshd, shared: None) -> None:
    say(source(sshd), "true")
    pid = holder(sockets()[0])
    sharing.give_up(source(sshd))
    assert ends(pid)
    say(source(sshd), "true")
    assert sshd.logins() == 2


def test_a_connection_given_up_is_not_torn_from_others(sshd: Sshd, shared: None) -> None:
    endpoint = source(sshd)
    command = [*sharing.login(endpoint), "echo started; cat"]
    other = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "started\n"
    sharing.give_up(endpoint)
    out, _ = other.communicate("unharmed\n", timeout=20)
    assert out == "unharmed\n"


def test_a_missing_directory_only_costs_the_sharing(sshd: Sshd, shared: None) -> None:
    """Somebody tidied up the place for temporary files."""
    say(source(sshd), "true")
    [socket] = sockets()
    pid = holder(socket)
    socket.unlink()
    socket.parent.rmdir()
    assert say(source(sshd), "echo", "hello") == "hello\n"
    os.kill(pid, signal.SIGTERM)


def test_without_a_daemon_every_command_logs_in_itself(sshd: Sshd) -> None:
    say(source(sshd), "true")
    say(source(sshd), "true")
    assert sshd.logins() == 2


def test_a_remote_shell_of_the_operators_own_shares_nothing(sshd: Sshd, shared: None) -> None:
    assert sharing.remote_shell(source(sshd), ["my-ssh", "-x"]) == ["my-ssh", "-x"]
    assert sshd.logins() == 0
    assert sharing._sharing.connections is None


@pytest.mark.parametrize("sharing_is_on", [True, False])
def test_a_missing_key_is_told_before_ssh_tries_others(sshd: Sshd, sharing_is_on: bool) -> None:
    if sharing_is_on:
        sharing.start()
    with pytest.raises(TransferFailed, match=r"the key /no/such/key .* cannot be read here"):
        sharing.login(source(sshd, ssh_identity="/no/such/key"))
    sharing.stop()


def refused(endpoint: Endpoint) -> str:
    with pytest.raises(TransferFailed) as failed:
        sharing.login(endpoint)
    assert failed.value.failure is FailureClass.ROUTE
    assert str(failed.value).isprintable()
    return str(failed.value)


def test_a_refused_key_is_told_with_what_to_do(sshd: Sshd, shared: None) -> None:
    other = make_key(sshd.directory / "other_key")
    said = refused(source(sshd, ssh_identity=str(other)))
    assert said.startswith(f"127.0.0.1 does not let {sshd.user} in: add the daemon's public key")


def test_an_unknown_host_is_not_trusted(sshd: Sshd, shared: None) -> None:
    sshd.forget_host()
    assert refused(source(sshd)).startswith("the host key of 127.0.0.1 is unknown: log in once")
    assert (sshd.directory / "known_hosts").read_text() == "", "nor remembered"
    assert sshd.logins() == 0


def test_a_host_that_has_changed_its_key_is_not_trusted(sshd: Sshd, shared: None) -> None:
    sshd.know_host(make_key(sshd.directory / "stranger"))
    assert refused(source(sshd)).startswith("127.0.0.1 has another host key than known_hosts says")
    assert sshd.logins() == 0


def test_a_host_that_is_down_is_named(sshd: Sshd, shared: None) -> None:
    sshd.stop()
    assert refused(source(sshd)).startswith("127.0.0.1 refuses connections: is sshd running")


def test_a_host_that_says_nothing_runs_into_sshs_own_time_limit(
    sshd: Sshd, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = sshd.bin / "ssh"
    wrapper.write_text(wrapper.read_text().replace('"$@"\n', '-o ConnectTimeout=1 "$@"\n'))
    with socket_module.create_server(("127.0.0.1", 0)) as silent:
        endpoint = source(sshd, ssh_port=silent.getsockname()[1])
        assert refused(endpoint).startswith("127.0.0.1 does not answer: is it up,")


def test_a_host_that_says_nothing_is_given_up(
    sshd: Sshd, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sshd.bin / "ssh").write_text("#!/bin/sh\nexec sleep 1000\n")
    monkeypatch.setattr(sharing, "_LOGIN_S", 0.3)
    assert refused(source(sshd)) == "127.0.0.1 does not answer: login timed out"


def test_without_ssh_the_destination_is_to_blame(
    sshd: Sshd, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(sshd.directory))
    with pytest.raises(TransferFailed, match="ssh is not installed here: install it") as failed:
        sharing.login(source(sshd))
    assert failed.value.failure is FailureClass.DESTINATION


LEAVE_BEHIND = """
import os, sys
from alpenhorn.transfer import sharing
from alpenhorn.transfer.batch import Endpoint
from alpenhorn.transfer.options import read_options
sharing.IDLE_S = 1
sharing.start()
config = {"ssh_port": int(sys.argv[2]), "ssh_identity": sys.argv[3]}
sharing.login(Endpoint(False, sys.argv[1], "/", read_options(config)))
print(sharing._sharing.connections._directory, flush=True)
os.kill(os.getpid(), 9)
"""


def test_after_kill_9_the_connection_ends_by_itself(sshd: Sshd, tmp_path: Path) -> None:
    words = [sshd.address, str(sshd.port), str(sshd.key)]
    command = [sys.executable, "-c", LEAVE_BEHIND, *words]
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)
    directory = Path(done.stdout.strip())
    assert directory.is_dir(), done.stderr
    deadline = time.monotonic() + 20
    while list(directory.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(directory.iterdir()) == []
    directory.rmdir()


@pytest.mark.parametrize("bad", ["relative", "/with blank", "/x%h", "/" + "long" * 25, "/missing"])
def test_a_place_that_is_no_good_for_sockets_is_passed_over(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", bad)
    directory = sharing._make_directory()
    assert directory is not None
    assert not str(directory).startswith(bad)
    directory.rmdir()
