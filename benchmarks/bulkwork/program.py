"""A running daemon of one of the programs that are compared, and what it costs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import yaml
from programs import Program

PATIENCE_S = 1200.0
_BEGUN = re.compile(rb"Beginning task (?!Tidy|Init|Updat)")
_TICKS = os.sysconf("SC_CLK_TCK")


class Daemon:
    """A running daemon of one host.

    Args:
        program: whose.
        host: its name.
        url: the index.
        directory: for its configuration and log; must not exist.
        extension: module of the import-detect extension.
        path: directories for Python modules and for programs.
        levels: of single loggers, by name.
        settings: keys of the configuration's section ``daemon``.
    """

    def __init__(
        self,
        program: Program,
        host: str,
        url: str,
        directory: Path,
        extension: str = "path_importer",
        path: Sequence[Path] = (),
        levels: Mapping[str, str] = MappingProxyType({}),
        **settings: object,
    ) -> None:
        directory.mkdir()
        self.log = directory / "log"
        conf = directory / "alpenhorn.conf"
        conf.write_text(configuration(host, url, extension, levels, settings))
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "HOME": str(directory),
        }
        environment.pop("ALPENHORN_CONFIG_FILE", None)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*program.daemon, "-c", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, fact: Callable[[], object], every: float = 0.01) -> float:
        """Wait until a fact is true; returns when that was, by `time.perf_counter`.

        Raises:
            RuntimeError: it does not come true, or the daemon has ended.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not fact():
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"waited in vain for a daemon, which said:\n{tail}")
            time.sleep(every)
        return time.perf_counter()

    def begun(self) -> bool:
        """Has the first task begun that is not one of its own housekeeping?"""
        return _BEGUN.search(self.log.read_bytes()) is not None

    def passes(self) -> list[float]:
        """Durations of the passes until now, in seconds."""
        return pass_times(self.log.read_text(errors="replace"))

    def cpu(self) -> float:
        """Processor seconds of the daemon until now."""
        return cpu_of(self.process.pid)

    def memory_mb(self) -> float:
        """The most memory that the daemon has had, in MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", text)
        return int(found[1]) / 1000 if found else float("nan")


def configuration(
    host: str, url: str, extension: str, levels: Mapping[str, str], settings: Mapping[str, object]
) -> str:
    """The text of a configuration file that both programs read."""
    sections = {
        "base": {"hostname": host},
        "database": {"url": url},
        "extensions": [extension],
        "logging": {"level": "INFO"} | ({"module_levels": dict(levels)} if levels else {}),
        "daemon": {"num_workers": 2, "update_interval": 60, "auto_import_interval": 60}
        | dict(settings),
    }
    return str(yaml.safe_dump(sections))


def pass_times(log: str) -> list[float]:
    """Read the durations of passes from a log, in seconds."""
    found = re.findall(r"Main loop execution was (?:(\d+)m)?([\d.]+)s", log)
    return [60 * int(minutes or 0) + float(seconds) for minutes, seconds in found]


def cpu_of(pid: int) -> float:
    """Processor seconds of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def run(command: Sequence[str], **more: object) -> float:
    """Run a command that has to work; returns how many seconds it took."""
    began = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, **more)  # type: ignore[call-overload]
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return took
