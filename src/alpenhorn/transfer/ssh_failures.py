"""Say in one line why nobody could log in to a host, and what to do about it.

ssh's own words are looked for, which are never translated; they stand at the end of the line.
"""

from __future__ import annotations

import re

_REASONS = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{host} has another host key than known_hosts says: ask its administrator why, then"
        " correct known_hosts of the daemon's user here",
    ),
    (
        r"Host key verification failed|host key is known",
        "the host key of {host} is unknown: log in once with ssh as the daemon's user here,"
        " compare the key, and accept it",
    ),
    (
        r"Permission denied \(|Permission denied, please|Too many authentication failures"
        r"|no more authentication methods|No supported authentication methods",
        "{host} does not let {user} in: add the daemon's public key to authorized_keys there, or"
        " name the right key with ssh_identity",
    ),
    (
        r"Could not resolve hostname",
        "the name {host} is unknown: correct the node's address, or the name service here",
    ),
    (
        r"Connection refused",
        "{host} refuses connections: is sshd running there, and at that port?",
    ),
    (
        r"Connection timed out|Operation timed out|No route to host|Network is unreachable"
        r"|not responding|Host is down",
        "{host} does not answer: is it up, and the network between?",
    ),
    (
        r"Bad owner or permissions|[Bb]ad configuration option|unsupported option"
        r"|Can't open user config",
        "ssh cannot use its configuration here to reach {host}: correct it",
    ),
    (
        r"kex_exchange_identification|Connection closed by|Connection reset|Broken pipe"
        r"|Unable to negotiate",
        "{host} broke the connection off: see the log of its sshd",
    ),
    (
        r"rsync: (command )?not found|rsync: No such file|No such file or directory.*rsync",
        "there is no rsync on {host}: install it, or say where it is with rsync_path",
    ),
    (
        r"is your shell clean",
        "{user}'s shell on {host} prints text of its own: make its start-up files silent",
    ),
    (
        r"connection unexpectedly closed|io timeout|mux_client",
        "the connection to {host} broke off: what is missing will be fetched later",
    ),
)
_PATTERNS = tuple((re.compile(pattern), text) for pattern, text in _REASONS)


def explain(said: str, user: str, host: str) -> str | None:
    """Explain why a login failed.

    Args:
        said: what ssh and the remote command wrote to standard error.
        user: as whom we wanted to log in.
        host: where.

    Returns:
        One line that names the host; None if nothing is understood.
    """
    lines = said.splitlines()
    for pattern, text in _PATTERNS:
        line = next((line for line in lines if pattern.search(line)), None)
        if line is not None:
            return f"{text.format(user=user, host=host)} ({_short(line)})"
    return None


def last_line(said: str) -> str:
    """Return the last line that was said, for a failure that nobody understands."""
    lines = [line for line in said.splitlines() if line.strip()]
    return _short(lines[-1]) if lines else ""


def _short(line: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in line)
    return printable.strip(" @")[:100]
