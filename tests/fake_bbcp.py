"""A stand-in for the program bbcp, which no Debian package has.

It understands the options that we give, logs in with the command of ``-S`` as the real one does,
and copies with ``cat``. It can be made to fail in several ways.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

_SCRIPT = """#!{python}
import os, subprocess, sys

with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
if sys.argv[1:] == ["--version"]:
    sys.exit(0)
options, words = {{}}, sys.argv[1:]
while words and words[0].startswith("-"):
    word = words.pop(0)
    options[word] = words.pop(0) if word in ("-s", "-W", "--port", "-S") else True
source, target = words
address, _, path = source.partition(":")
login = options["-S"].split()
assert login.pop() == "bbcp"
failure = {failure!r}
if failure == "refuses":
    sys.exit("bbcp: no route for the data connection")
if os.path.lexists(target):
    assert options["-f"]
    os.unlink(target)
fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
if failure == "breaks off":
    os.write(fd, b"half of it")
    sys.exit("bbcp: connection lost")
if failure == "hangs":
    os.write(fd, b"some of it")
    subprocess.run(["sleep", "1000"])
data = subprocess.run([*login, "cat", path], stdout=subprocess.PIPE, check=True).stdout
if failure == "corrupts":
    data = data.swapcase()
if failure == "cuts":
    data = data[:-1]
with os.fdopen(fd, "wb") as file:
    file.write(data)
if failure == "deletes":
    os.unlink(target)
elif options.get("-p"):
    facts = subprocess.run([*login, "stat", "-c", "%a,%.9Y", path], stdout=subprocess.PIPE)
    mode, seconds = facts.stdout.decode().strip().split(",")
    whole, fraction = seconds.split(".")
    os.chmod(target, int(mode, 8))
    os.utime(target, ns=(int(whole + fraction),) * 2)
sys.exit(5 if failure == "complains at the end" else 0)
"""

FAILURES = ["refuses", "breaks off", "deletes", "complains at the end"]
"""Ways to fail that bbcp, or its mover, notices at once."""


def install(directory: Path, failure: str = "") -> Path:
    """Put the program into a directory.

    Returns:
        The file in which it writes down its calls.
    """
    directory.mkdir(exist_ok=True)
    log = directory / "bbcp-calls"
    program = directory / "bbcp"
    program.write_text(_SCRIPT.format(python=sys.executable, log=str(log), failure=failure))
    program.chmod(0o755)
    return log


def calls(log: Path) -> list[list[str]]:
    """The transfers that were asked for, as words."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [shlex.split(line) for line in lines if line != "--version"]
