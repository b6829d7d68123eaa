"""The command line that logs in to another host.

The system's OpenSSH does it, with the user's own configuration: host aliases, keys, jump hosts,
known hosts. Time-outs and the order of ciphers are ours only where neither the user nor the system
has set any (`ssh_config` and `ssh_config_aes` beside this file). On the command line is what must
hold in any case: ssh never asks a question, since nobody would answer, and it runs nothing but what
we ask for. Whether the other host is the right one is decided by ssh's known hosts; no option here
ever switches that off.

A remote shell that the operator has configured is used as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from alpenhorn.common.names import safe_address
from alpenhorn.errors import InvalidName
from alpenhorn.transfer.batch import Endpoint

SYSTEM_SSH = ("ssh",)
"""The remote shell that stands for OpenSSH with alpenhorn's options; any other is taken as is."""

_CONFIG = Path(__file__).with_name("ssh_config")
_CONFIG_AES = Path(__file__).with_name("ssh_config_aes")
_CPU = Path("/proc/cpuinfo")

_ALWAYS = {
    "BatchMode": "yes",
    "LogLevel": "ERROR",  # the reasons of failures, and no banners
    "ControlMaster": "no",  # see `sharing`
    "ClearAllForwardings": "yes",
    "RemoteCommand": "none",
    "RequestTTY": "no",
}


def ssh_command(
    source: Endpoint,
    remote_shell: Sequence[str] = SYSTEM_SSH,
    control_path: Path | None = None,
) -> list[str]:
    """Return program and options that log in to the host of `source`, without the host itself.

    Args:
        source: where to log in.
        remote_shell: the configured one (``daemon.remote_shell``).
        control_path: socket of a connection to be shared (ssh_config(5), ControlPath), of plain
            characters; None: log in anew, whatever the user's configuration shares.
    """
    if tuple(remote_shell) != SYSTEM_SSH:
        return list(remote_shell)
    options = _ALWAYS | {"ControlPath": str(control_path or "none")}
    command = ["ssh", "-F", str(_CONFIG_AES if _does_aes(_CPU) else _CONFIG)]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    if source.options.port:
        command += ["-p", str(source.options.port)]
    if source.options.identity:
        key = str(Path(source.options.identity).expanduser())
        key = f'"{key}"' if " " in key else key
        command += ["-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={key}"]
    return command


@cache
def _does_aes(cpu: Path) -> bool:
    """Tell whether the processor does AES itself (proc_cpuinfo(5): "flags", on ARM "Features")."""
    try:
        return bool(re.search(r"^(flags|Features)\b.*\baes\b", cpu.read_text(), re.MULTILINE))
    except OSError:
        return False  # another system: the order that ssh has is a good one everywhere


def login_command(
    source: Endpoint,
    remote_shell: Sequence[str] = SYSTEM_SSH,
    control_path: Path | None = None,
) -> list[str]:
    """Return the whole command that logs in; the words of the remote command follow it.

    User and host are passed as rsync passes them to its remote shell: ``-l USER HOST``.

    Raises:
        InvalidName: the address could be mistaken for something else.
    """
    user, host = user_and_host(source)
    return [*ssh_command(source, remote_shell, control_path), "-l", user, host]


def user_and_host(source: Endpoint) -> tuple[str, str]:
    """Divide the address of `source`; an IPv6 address loses its brackets.

    Raises:
        InvalidName: the address could be mistaken for something else.
    """
    if source.local:
        raise InvalidName("no address: the source is on this host")
    user, _, host = (source.address or "").partition("@")
    safe_address(user, host)
    return user, host.strip("[]")
