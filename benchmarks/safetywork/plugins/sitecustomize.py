"""Read by Python at its start, in the daemons of both programs: makes a disk look slow.

`SLOW_UNLINK_S` and `SLOW_MD5_S` are how long removing a file and beginning an MD5 take more.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any


def _slow(function: Callable[..., Any], seconds: float) -> Any:
    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return function(*args, **kwargs)

    return slowly


if "SLOW_UNLINK_S" in os.environ:
    os.unlink = _slow(os.unlink, float(os.environ["SLOW_UNLINK_S"]))
    os.remove = _slow(os.remove, float(os.environ["SLOW_UNLINK_S"]))
if "SLOW_MD5_S" in os.environ:
    hashlib.md5 = _slow(hashlib.md5, float(os.environ["SLOW_MD5_S"]))
