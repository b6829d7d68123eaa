"""How ssh is called, and what its complaints are taken for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from alpenhorn.errors import InvalidName
from alpenhorn.transfer import ssh
from alpenhorn.transfer.batch import Endpoint
from alpenhorn.transfer.options import read_options
from alpenhorn.transfer.ssh_failures import explain, last_line


def far(address: str = "user@far.example", **config: object) -> Endpoint:
    return Endpoint(False, address, "/data", read_options(config))


def settings(command: list[str], *host: str) -> dict[str, str]:
    """What the real ssh makes of a command line."""
    done = subprocess.run([*command, "-G", *host], capture_output=True, text=True, check=True)
    return {line.split(" ")[0]: line.partition(" ")[2] for line in done.stdout.splitlines()}


def test_nobody_is_asked_and_a_dead_connection_is_noticed() -> None:
    found = settings(ssh.ssh_command(far()), "host")
    assert found["batchmode"] == "yes"
    assert found["connecttimeout"] == "15"
    assert (found["serveraliveinterval"], found["serveralivecountmax"]) == ("15", "4")
    assert found["controlmaster"] == "false"
    assert "controlpath" not in found


def test_host_keys_are_always_checked() -> None:
    """No option of ours is about them, so the user's and the system's rule holds."""
    text = " ".join(ssh.ssh_command(far(ssh_port=22, ssh_identity="/key")))
    text += ssh._CONFIG.read_text() + ssh._CONFIG_AES.read_text()
    for word in ("StrictHostKeyChecking", "KnownHosts", "CheckHostIP", "NoHostAuthentication"):
        assert word.lower() not in text.lower()
    assert settings(ssh.ssh_command(far()), "host")["stricthostkeychecking"] == "ask"


@pytest.mark.parametrize(
    ("cpu", "fast"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse2 aes avx\nbugs\t\t: spectre\n", True),
        ("Features\t: fp asimd aes pmull\n", True),
        ("Features\t: fp asimd evtstrm crc32 cpuid\n", False),  # a Raspberry Pi 4
        ("model name\t: no aes\nflags\t\t: fpu vaes\n", False),
        (None, False),
    ],
)
def test_a_processor_that_does_aes_is_asked_to(
    cpu: str | None, fast: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ciphers are always those of ssh itself; only their order may be ours."""
    monkeypatch.setattr(ssh, "_CPU", tmp_path / "cpuinfo")
    if cpu is not None:
        ssh._CPU.write_text(cpu)
    ours = settings(ssh.ssh_command(far()), "host")["ciphers"].split(",")
    plain = settings(["ssh"], "host")["ciphers"].split(",")
    assert sorted(ours) == sorted(plain)
    assert ours[0] == ("aes128-gcm@openssh.com" if fast else plain[0])


def test_both_configurations_differ_in_the_ciphers_only() -> None:
    slow, fast = (
        [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        for path in (ssh._CONFIG, ssh._CONFIG_AES)
    )
    assert [line for line in fast if "Ciphers" not in line] == slow


def test_port_and_key_of_the_node_are_used() -> None:
    found = settings(ssh.ssh_command(far(ssh_port=2222, ssh_identity="/my keys/key")), "host")
    assert found["port"] == "2222"
    assert found["identityfile"] == "/my keys/key"
    assert found["identitiesonly"] == "yes"


def test_a_key_below_the_home_directory_is_found() -> None:
    found = settings(ssh.ssh_command(far(ssh_identity="~/.ssh/alpenhorn")), "host")
    assert found["identityfile"] == str(Path("~/.ssh/alpenhorn").expanduser())


def test_a_connection_is_shared_on_wish(tmp_path: Path) -> None:
    found = settings(ssh.ssh_command(far(), control_path=tmp_path / "socket"), "host")
    assert found["controlpath"] == str(tmp_path / "socket")


def test_a_remote_shell_of_the_operators_own_is_used_as_it_stands(tmp_path: Path) -> None:
    own = ["ssh", "-F", "/etc/alpenhorn/ssh_config"]
    source = far(ssh_port=2222, ssh_identity="/key")
    assert ssh.ssh_command(source, own, tmp_path / "socket") == own
    assert ssh.login_command(source, own) == [*own, "-l", "user", "far.example"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("user@far.example", ["-l", "user", "far.example"]),
        ("user@192.0.2.7", ["-l", "user", "192.0.2.7"]),
        ("user@[2001:db8::7]", ["-l", "user", "2001:db8::7"]),
        ("user@[fe80::7%eth0]", ["-l", "user", "fe80::7%eth0"]),
    ],
)
def test_host_and_user_are_words_of_their_own(address: str, words: list[str]) -> None:
    assert ssh.login_command(far(address))[-3:] == words


@pytest.mark.parametrize(
    "address",
    [
        *("-oProxyCommand=touch owned@host", "user@-oProxyCommand=touch owned", "user@", "@host"),
        *("some user@host", "user@ho st", "user@host\nx", "user@host;x", "user@$(x)", "host", ""),
        *("user@host:22", "user@host/x", "us@er@host", "user@%h", "-l@host"),
    ],
)
def test_an_address_that_could_be_anything_else_is_refused(address: str) -> None:
    with pytest.raises(InvalidName) as error:
        ssh.login_command(far(address))
    assert error.value.message.isprintable()


def test_a_local_source_needs_no_login() -> None:
    with pytest.raises(InvalidName):
        ssh.login_command(Endpoint(True, None, "/"))


def test_what_the_user_has_configured_comes_first(tmp_path: Path) -> None:
    """Aliases, ports and time-outs of ~/.ssh/config hold; ours only fill in what is not set."""
    (tmp_path / "config").write_text(
        "Host archive\n  HostName far.example\n  Port 2200\n  User somebody\n  ConnectTimeout 77\n"
        "  ProxyJump gate\n  Ciphers aes256-ctr\n"
    )
    (tmp_path / "config").chmod(0o600)
    home = Path("~").expanduser() / ".ssh"
    if os.geteuid() != 0:
        pytest.skip("mounting a directory over ~/.ssh needs root")
    made = not home.exists()
    home.mkdir(mode=0o700, exist_ok=True)
    script = 'mount --bind "$0" "$1" && shift && exec "$@"'
    inside = ["unshare", "--mount", "sh", "-c", script, str(tmp_path), str(home)]
    try:
        if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
            pytest.skip("mounting a directory over ~/.ssh is not permitted here")
        archive = settings([*inside, *ssh.ssh_command(far())], "archive")
        other = settings([*inside, *ssh.ssh_command(far())], "other")
    finally:
        if made:
            home.rmdir()
    assert (archive["hostname"], archive["port"]) == ("far.example", "2200")
    assert (archive["connecttimeout"], archive["proxyjump"]) == ("77", "gate")
    assert (archive["serveraliveinterval"], archive["ciphers"]) == ("15", "aes256-ctr")
    assert (other["port"], other["connecttimeout"]) == ("22", "15")


# ---- what ssh says

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Host key verification failed.", "the host key of far is unknown"),
        (CHANGED, "far has another host key than known_hosts says"),
        ("me@far: Permission denied (publickey).", "far does not let me in: add the"),
        ("Received disconnect: Too many authentication failures", "far does not let me in"),
        ("ssh: Could not resolve hostname far: No such host", "the name far is unknown"),
        ("ssh: connect to host far port 22: Connection refused", "far refuses connections"),
        ("ssh: connect to host far port 22: Connection timed out", "far does not answer"),
        ("ssh: connect to host far port 22: No route to host", "far does not answer"),
        ("Timeout, server far not responding.", "far does not answer"),
        ("Bad owner or permissions on /root/.ssh/config", "ssh cannot use its configuration"),
        ("kex_exchange_identification: read: Connection reset by peer", "far broke the connection"),
        ("sh: 1: rsync: not found", "there is no rsync on far"),
        ("bash: line 1: rsync: command not found", "there is no rsync on far"),
        ("bash: line 1: /opt/rsync: No such file or directory", "there is no rsync on far"),
        ("rsync: connection unexpectedly closed (0 bytes", "the connection to far broke off"),
        ("protocol version mismatch -- is your shell clean?", "me's shell on far prints text"),
    ],
)
def test_a_failure_is_explained_in_one_line(said: str, reason: str) -> None:
    text = explain(said, "me", "far")
    assert text is not None
    assert text.startswith(reason)
    assert text.isprintable()
    assert len(text) < 255, "the column holds no more"


def test_what_nobody_understands_is_not_explained() -> None:
    assert explain("all is well", "me", "far") is None
    assert last_line("first\nlast\x1b[1m\n\n") == "last [1m"
    assert last_line("") == ""
