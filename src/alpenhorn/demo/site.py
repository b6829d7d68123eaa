"""The stage: one directory with the Data Index, three "hosts", a transport disk, configurations."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import peewee as pw
import yaml

import alpenhorn
from alpenhorn.demo.problems import DemoProblem
from alpenhorn.demo.shell import HOSTS

EXAMPLE = "pattern_importer.py"

UPDATE_INTERVAL_S = 1
"""The walkthrough's daemons make a pass every ten seconds; the demo is in more of a hurry."""

_PROGRAMS = {
    "alpenhorn": [sys.executable, "-m", "alpenhorn", "--test-isolation"],
    "python": [sys.executable],
}

_UNFIT = re.compile(r"[?#%:\x00-\x1f\x7f]")
"""Characters that a database URL or ``PYTHONPATH`` would take for something else."""

_LONGEST_ROOT = 255
"""Characters of a node's root that the Data Index can hold (spec: data-index.md §2.7)."""


@dataclass(frozen=True)
class Site:
    """Where everything of one demo lies.

    Args:
        home: the directory of the demo, absolute.
    """

    home: Path

    @property
    def index(self) -> Path:
        """The SQLite file of the Data Index."""
        return self.home / "index.db"

    @property
    def transport(self) -> Path:
        """Where the transport disk is mounted, on whichever host it is."""
        return self.home / "transport"

    @property
    def python(self) -> Path:
        """The directory with the import extension, for ``PYTHONPATH``."""
        return self.home / "python"

    @property
    def conf(self) -> Path:
        """The configuration that command line and daemons share."""
        return self.home / "alpenhorn.conf"

    def host_conf(self, host: str) -> Path:
        """What the daemon of a host reads in addition."""
        return self.home / host / "alpenhorn.conf"

    def log(self, host: str) -> Path:
        """What a host's daemon said."""
        return self.home / host / "alpenhornd.log"

    def data(self, host: str) -> Path:
        """The root of a host's storage node."""
        return self.home / host / "data"

    def root(self, node: str) -> Path:
        """The root of a storage node of the walkthrough."""
        number = node.removeprefix("demo_storage")
        return self.transport if number == node else self.data(f"alpenhost{number}")

    @property
    def places(self) -> dict[str, str]:
        """What the placeholders of the script stand for."""
        paths = {f"data{number}": self.data(host) for number, host in enumerate(HOSTS, start=1)}
        paths["transport"] = self.transport
        return {name: str(path) for name, path in paths.items()}

    def environment(self) -> dict[str, str]:
        """The environment of all programs of the demo: nothing of the user's configuration."""
        python_path = os.pathsep.join(
            path for path in (str(self.python), os.environ.get("PYTHONPATH")) if path
        )
        changed = {"PYTHONPATH": python_path, "ALPENHORN_CONFIG_FILE": str(self.conf)}
        return {**os.environ, **changed, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}

    # How things are done here; the project's own tests do them on several machines.

    def database(self) -> pw.Database:
        """A connection to the Data Index; any attempt to write would fail."""
        return pw.SqliteDatabase(str(self.index), pragmas=[("query_only", 1)], timeout=30)

    def in_shell(self, line: str) -> list[str]:
        """What to run when this is typed at the ``alpenshell``."""
        program, *arguments = shlex.split(line)
        return [*_PROGRAMS[program], *arguments]

    def on_host(self, host: str, line: str) -> list[str]:
        """What to run when this is typed on a host, in the root of its node."""
        return ["/bin/sh", "-c", f"cd {shlex.quote(str(self.data(host)))}\n{line}"]

    def daemon_line(self, host: str) -> str:
        """What is typed on a host to start its daemon."""
        return f"alpenhornd --conf {shlex.quote(str(self.host_conf(host)))} &"

    def start_daemon(self, host: str) -> subprocess.Popen[bytes]:
        """Start the daemon of `host`; its log begins at once, in the host's log file."""
        command = [sys.executable, "-m", "alpenhorn.daemon", "--test-isolation"]
        with self.log(host).open("ab") as log:
            return subprocess.Popen(
                [*command, "--conf", str(self.host_conf(host))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
            )


def build(home: Path) -> Site:
    """Make the directories and configurations of a demo.

    Args:
        home: an empty directory, or one to be made.

    Raises:
        DemoProblem: the directory is not empty, cannot be made, or has too long a name.
    """
    site = Site(home.absolute())
    if len(str(site.data(HOSTS[0]))) > _LONGEST_ROOT:
        raise DemoProblem(f'The name of the directory "{home}" is too long: choose a shorter one.')
    if _UNFIT.search(str(site.home)):
        raise DemoProblem(f"The demo cannot use a directory with such a name: {str(home)!r}.")
    try:
        site.home.mkdir(parents=True, exist_ok=True)
        if any(site.home.iterdir()):
            raise DemoProblem(f'The directory "{home}" is not empty: name an empty or a new one.')
        _fill(site)
    except OSError as error:
        raise DemoProblem(f'Cannot use the directory "{home}": {error.strerror}.') from error
    return site


def _fill(site: Site) -> None:
    for directory in (site.python, site.transport, *map(site.data, HOSTS)):
        directory.mkdir(parents=True)
    shutil.copyfile(example_source(), site.python / EXAMPLE)
    _write(site.conf, _common(site))
    for host in HOSTS:
        # Read after alpenhorn.conf, which holds what all have in common.
        _write(site.host_conf(host), {"base": {"hostname": host}, "daemon": _daemon()})


def _common(site: Site) -> dict[str, object]:
    return {
        "database": {"url": f"sqlite:///{site.index}"},
        "extensions": [EXAMPLE.removesuffix(".py")],
    }


def _daemon() -> dict[str, object]:
    return {
        "num_workers": 2,
        "update_interval": UPDATE_INTERVAL_S,
        "auto_import_interval": UPDATE_INTERVAL_S,
        "remote_shell": shlex.join([sys.executable, "-m", "alpenhorn.demo.shell"]),
    }


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def example_source() -> Path:
    """Find the example extension: in the checkout, or where the installation put it.

    Raises:
        DemoProblem: it is nowhere.
    """
    package = Path(alpenhorn.__file__).parent
    in_checkout = package.parents[1] / "examples" / EXAMPLE
    if package.parent.name == "src" and in_checkout.is_file():
        return in_checkout
    for file in importlib.metadata.files("alpenhorn") or ():
        if file.name == EXAMPLE and (installed := Path(str(file.locate()))).is_file():
            return installed
    raise DemoProblem(f"The example {EXAMPLE} is missing: install alpenhorn again.")
