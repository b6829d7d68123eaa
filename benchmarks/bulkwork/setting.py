"""Where measurements take place: a directory, an index, an ssh server, and the files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from million import SiteMariaDB
from programs import OURS, Program

import servers
import sshd
from bulkwork import trees
from bulkwork.index import Index
from bulkwork.program import run
from bulkwork.trees import Tree

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Sizes:
    """How much work there is."""

    small: int = 5000
    large: int = 4
    large_b: int = 512 * 2**20
    copies: int = 1_000_000
    blocked: int = 100_000
    idle_s: int = 60
    backlog: int = 200_000
    peer_small: int = 200
    """Small files for the public program, whose rate is compared."""

    @classmethod
    def quick(cls) -> Sizes:
        """A tenth of it."""
        return cls(small=2000, large_b=64 * 2**20, copies=100_000, blocked=10_000, idle_s=10,
                   backlog=5000, peer_small=50)  # fmt: skip


@dataclass
class Setting:
    """What all measurements share."""

    directory: Path
    sizes: Sizes
    server: sshd.Sshd
    database: servers.Server | None
    already: int = 0
    """So many other files an index holds before a work begins."""
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """Of the machine before the first measurement."""
    _count: int = field(default=0)

    @property
    def kind(self) -> str:
        """Which database it is."""
        return self.database.name if self.database else "sqlite"

    @cached_property
    def tools(self) -> Path:
        """A directory with an ``ssh`` that finds our server: the same for all that is compared."""
        directory = self.directory / "tools"
        directory.mkdir()
        wrapper = directory / "ssh"
        wrapper.write_text(
            f"#!/bin/sh\nexec {shutil.which('ssh')} -p {self.server.port} -i {self.server.key}"
            f" -o UserKnownHostsFile={self.server.directory}/known_hosts"
            ' -o GlobalKnownHostsFile=/dev/null "$@"\n'
        )
        wrapper.chmod(0o755)
        return directory

    @property
    def path(self) -> list[Path]:
        """Directories for a daemon's programs and modules."""
        return [self.tools, Path(__file__).parent, EXAMPLES]

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Provide an empty directory; nothing of it is left on the disk afterwards."""
        directory = self.fresh()
        try:
            yield directory
        finally:
            remove(directory)

    @contextmanager
    def holding(self, files: int) -> Iterator[None]:
        """Have indexes hold so many other files before a work begins."""
        self.already = files
        try:
            yield
        finally:
            self.already = 0

    def fresh(self) -> Path:
        """Make an empty directory."""
        self._count += 1
        directory = self.directory / f"{self._count}"
        directory.mkdir()
        return directory

    def new_index(self, directory: Path, program: Program = OURS) -> Index:
        """Make an index by a program's ``db init``."""
        if self.database is None:
            url = f"sqlite:///{directory}/index.db"
        else:
            url = self.database.new_database("bulk")
        conf = directory / "shell.conf"
        conf.write_text(f"database:\n  url: {url}\n")
        run([*program.shell, "-c", str(conf), "db", "init"])
        return Index(url)

    def tree(self, name: str) -> Tree:
        """The files of a work: ``small``, ``large`` or ``mixed``, which is both."""
        found: Tree = getattr(self, name)
        return found

    @cached_property
    def small(self) -> Tree:
        """Small files."""
        root = self.directory / "small"
        return root, trees.small(root, self.sizes.small)

    @cached_property
    def few(self) -> Tree:
        """The small files that the public program gets."""
        root = self.directory / "few"
        return root, trees.small(root, self.sizes.peer_small)

    @cached_property
    def large(self) -> Tree:
        """Large files."""
        root = self.directory / "large"
        return root, trees.large(root, self.sizes.large, self.sizes.large_b)

    @cached_property
    def mixed(self) -> Tree:
        """The small and the large files, in one tree."""
        root = self.directory / "mixed"
        shutil.copytree(self.small[0], root)
        shutil.copytree(self.large[0], root, dirs_exist_ok=True)
        os.sync()
        return root, self.small[1] + self.large[1]


@contextmanager
def setting(directory: Path, kind: str, sizes: Sizes) -> Iterator[Setting]:
    """Start what is needed; everything is ended afterwards."""
    with ExitStack() as stack:
        server = stack.enter_context(sshd.running(directory / "sshd"))
        database = SiteMariaDB() if kind == "mariadb" else None
        if database is not None:
            stack.callback(database.remove)
            database.start()
        yield Setting(directory, sizes, server, database)


def remove(*trees_: Path) -> None:
    """Remove directories, and have the disk at rest."""
    for tree in trees_:
        shutil.rmtree(tree)
    subprocess.run(["sync"], check=True)
