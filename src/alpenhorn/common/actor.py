"""Who acts: the account and machine of this process, for records that are kept."""

from __future__ import annotations

import os
import pwd
from functools import cache


@cache
def me() -> str:
    """Return ``user@machine`` of this process.

    The user is that of the process's user id, whatever the environment says; its number, if the
    system knows no name for it.
    """
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return f"{user}@{os.uname().nodename}"
