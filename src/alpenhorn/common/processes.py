"""Run other programs and calls with a time limit, leaving nothing behind.

A command runs in a session (and so a process group) of its own: it has no terminal to ask for a
password on, Ctrl-C at the daemon's terminal does not reach it, and it can be killed together with
its children (rsync and its ssh). A killed command is reaped.

Commands must not outlive a daemon that was killed with -9, or two rsyncs would write one file.
Linux offers PR_SET_PDEATHSIG for that, but it has to be set in the child (`preexec_fn` is not safe
in a program with threads), fires when the *thread* that forked ends, and reaches only the child
itself. We use a guard instead: a tiny shell process that is told each group's id through a pipe and
kills what is left when the pipe ends, whatever ended us. It runs before the command does and is
told of it right after the start: only a kill -9 between these two calls leaves the command alone.
"""

from __future__ import annotations

import atexit
import logging
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

# Once killed, a command should end at once; one that hangs in the kernel (a dead mount) does not.
_REAP_SECONDS = 5.0

_GUARD_SCRIPT = """
trap '' HUP INT QUIT TERM USR1 USR2
live=' '
while read -r change group; do
    case $change in
        +) live="$live$group " ;;
        -) live="${live%% $group *} ${live#* $group }" ;;
    esac
done
for group in $live; do kill -KILL "-$group"; done
"""


class _Registry:
    """The process groups that are alive, here and in the guard."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[int] = set()
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self, words: Sequence[str], options: dict[str, Any]) -> subprocess.Popen[Any]:
        """Start a command; the guard runs before it does, and is told of it right afterwards."""
        with self._lock:
            if self._guard is None or self._guard.poll() is not None:
                self._start_guard()
            process = subprocess.Popen(words, **options)
            self._add(process.pid)
            return process

    def add(self, group: int) -> None:
        with self._lock:
            self._add(group)

    def discard(self, group: int) -> None:
        with self._lock:
            self._live.discard(group)
            self._tell("-", group)

    def groups(self) -> tuple[int, ...]:
        with self._lock:
            return tuple(self._live)

    def stop_guard(self) -> None:
        """End the guard, which kills what is left; for the regular end of the program."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(_REAP_SECONDS)

    def _add(self, group: int) -> None:
        self._live.add(group)
        self._tell("+", group)

    def _tell(self, change: str, group: int) -> None:
        try:
            self._write(f"{change} {group}\n")
        except OSError:
            # No guard yet, or somebody killed it.
            self._start_guard()

    def _write(self, text: str) -> None:
        if self._guard is None or self._guard.stdin is None:
            raise BrokenPipeError
        os.write(self._guard.stdin.fileno(), text.encode())

    def _start_guard(self) -> None:
        if self._guard is None:
            atexit.register(self.stop_guard)
        try:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD_SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
            self._write("".join(f"+ {group}\n" for group in self._live))
        except OSError as error:
            log.warning(f"Commands may outlive a killed daemon: cannot start their guard: {error}")


_registry = _Registry()


def run_command(
    cmd: Sequence[str | os.PathLike[str]],
    timeout: float | None = None,
    *,
    input: bytes | None = None,
    **kwargs: Any,
) -> tuple[int | None, str, str]:
    """Run a program to its end, without a shell (spec: extensions.md §9.1, daemon.md §22 item 33).

    Args:
        cmd: program and arguments.
        timeout: seconds until the command and its children are killed; None: no limit.
        input: bytes for its standard input; None: nothing to read.
        **kwargs: further keywords for `subprocess.Popen`.

    Returns:
        Exit status (negative: ended by that signal), standard output, standard error; bytes that
        are no UTF-8 are replaced. After a time-out ``(None, "", "")``.

    Raises:
        OSError: the program cannot be started, e.g. `FileNotFoundError`.
    """
    words = [os.fspath(word) for word in cmd]
    limit = "no time limit" if timeout is None else f"time limit {timeout:.0f} s"
    log.debug(f"Running command [{limit}]: {shlex.join(words)}")
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL if input is None else subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        **kwargs,
        "start_new_session": True,
    }
    process = _registry.start(words, options)
    try:
        out, err = process.communicate(input, timeout)
    except subprocess.TimeoutExpired:
        log.warning(f"Command ran out of its time limit ({timeout} s): {shlex.join(words)}")
        return None, "", ""
    finally:
        if process.returncode is None:
            _kill_and_reap(process)
        _registry.discard(process.pid)
    return process.returncode, _text(out), _text(err)


def guard(process: subprocess.Popen[Any]) -> None:
    """Have a process killed, with its children, when this program ends, whatever ends it.

    Args:
        process: leads a process group of its own (``start_new_session=True``).
    """
    _registry.add(process.pid)


def unguard(process: subprocess.Popen[Any]) -> None:
    """Forget a process of `guard`; to be called when it was waited for, since ids are used anew."""
    _registry.discard(process.pid)


def kill_all() -> None:
    """Kill every command that is running, with its children; for a quick exit."""
    for group in _registry.groups():
        _kill_group(group)


def timeout_call(
    func: Callable[_P, _T], timeout: float, /, *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Call a function, but give it up if it takes too long.

    The function runs in a thread of its own (with the caller's thread name, for the log). A call
    that is given up goes on in there until it returns, and nobody sees its result; it does not
    keep the program from ending. It must therefore not touch what the caller cleans up.

    Args:
        func: what to call.
        timeout: seconds; zero or less: time out at once, without a call.
        *args: for `func`.
        **kwargs: for `func`.

    Returns:
        What `func` returns; its exceptions are passed on.

    Raises:
        TimeoutError: it took longer.
    """
    if not timeout > 0:
        raise TimeoutError(f"no time left for {_name(func)}")
    future: Future[_T] = Future()

    def call() -> None:
        try:
            future.set_result(func(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name=threading.current_thread().name, daemon=True).start()
    try:
        return future.result(timeout)
    except TimeoutError:
        if future.done():
            raise
        raise TimeoutError(f"{_name(func)} took longer than {timeout:g} s") from None


def _kill_and_reap(process: subprocess.Popen[Any]) -> None:
    _kill_group(process.pid)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    # Python reaps later what hangs in the kernel now: the module `subprocess` keeps a list.
    with suppress(subprocess.TimeoutExpired):
        process.wait(_REAP_SECONDS)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _text(output: bytes | str | None) -> str:
    if isinstance(output, bytes):
        return output.decode("utf-8", "replace")
    return output or ""


def _name(func: Callable[..., object]) -> str:
    return getattr(func, "__name__", repr(func))
