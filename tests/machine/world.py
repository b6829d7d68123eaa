"""A small world: one index file, nodes that are directories, and the daemons of their hosts.

The daemons are real: loops, queues, storage classes, services. Three things stand in: which disk a
directory rests on is what the world says (all lie on one here), a file is fetched from another host
by the internal copy instead of over ssh, and pauses after failures are over by the next pass.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import shutil
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.daemon import group as group_module
from alpenhorn.daemon import node as node_module
from alpenhorn.daemon import routes as routes_module
from alpenhorn.daemon.loop import Loop
from alpenhorn.daemon.patience import Patience
from alpenhorn.db import connection, engines, schema
from alpenhorn.db.operations import NodeStore
from alpenhorn.extensions import loader
from alpenhorn.io.default import space
from alpenhorn.io.default.jobs import route
from alpenhorn.scheduler import EmptyPool, FairMultiFIFOQueue, TaskRunner, run_one
from alpenhorn.transfer.copy import CopyMover
from daemon import detectors
from machine import state, stops
from machine.baton import Actor, Baton, Killed, me, unnoticed
from machine.invariants import Judge
from machine.state import Index, Spot

DATA = {"acq/one": b"the first file", "acq/two": b"and another"}
"""The bytes of the files, by path."""

ROTTEN = b"not what it was"

TOTAL: Counter[str] = Counter()
"""What happened in all worlds so far."""


@dataclass(frozen=True)
class Place:
    """A node of the world.

    Args:
        name: its name, and that of its group.
        host: whose daemon manages it.
        kind: storage type: A, F or T.
        disk: what it rests on; None: a disk of its own.
        copies: what is there of each file, as ``YY good``: the letters of the row (or ``--``),
            then what lies on the disk: ``good``, ``bad`` or ``gone``.
        columns: more columns of the record.
    """

    name: str
    host: str
    kind: str = "A"
    disk: str | None = None
    copies: tuple[str, ...] = ("YY good",)
    columns: tuple[tuple[str, object], ...] = ()


class Process:
    """A program that runs on a host: what is one per process is kept here."""

    def __init__(self, world: World, name: str, host: str) -> None:
        self.world, self.name, self.host = world, name, host
        self._config = {"base": {"hostname": host}, "daemon": world.settings}
        self._reserved: dict[Hashable, int] = defaultdict(int)

    def enter(self) -> None:
        """Make the globals of the package those of this process."""
        config._config = self._config
        space._reserved = self._reserved


class Daemon(Process):
    """The daemon of a host: its passes are made, and its tasks run, by actors."""

    def __init__(self, world: World, host: str) -> None:
        super().__init__(world, f"{host}#{next(world.numbers)}", host)
        self.queue = FairMultiFIFOQueue(clock=world.clock)
        self.runner = TaskRunner(before_task=self._begin_job)
        self.loop = Loop(host, self.queue, EmptyPool(self.runner), world.clock)
        self.passing: Actor | None = None

    def tick(self) -> None:
        """Make one pass; queues tasks."""
        self.world.seconds += 10_000
        self._begin("pass")
        self.loop.tick()

    def tick_nodes(self) -> None:
        """Make the part of a pass that is about nodes: checks, deletions, imports."""
        self.world.seconds += 10_000
        self._begin("pass")
        self.loop._update_nodes(self.loop._find())

    def work(self, tasks: int = 1) -> None:
        """Run queued tasks, at most so many."""
        for _ in range(tasks):
            ran = run_one(self.queue, self.runner, timeout=0)
            actor = me()
            if actor is not None and actor.doomed:
                raise Killed
            if not ran:
                return

    def work_on(self) -> None:
        """Run tasks until there are none."""
        self.work(100)

    def once(self) -> None:
        """Make a pass, and do what it has found."""
        self.tick()
        self.work(100)

    def nodes_once(self) -> None:
        """Make the nodes' part of a pass, and do what it has found."""
        self.tick_nodes()
        self.work(100)

    def _begin_job(self) -> None:
        self._begin(self.runner._running[threading.get_ident()][1].name)

    def _begin(self, job: str) -> None:
        actor = me()
        if actor is not None:
            actor.begin(job)


class World:
    """See the module.

    Args:
        directory: an empty directory, best on a memory file system.
        index: a fresh index to copy.
        places: the nodes.
        edges: auto-actions: (node, group, autosync, autoclean).
        settings: keys below ``daemon``.
    """

    def __init__(
        self,
        directory: Path,
        index: Path,
        places: Sequence[Place],
        edges: Sequence[tuple[str, str, bool, bool]] = (),
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.directory = directory
        self.data = DATA
        self.places = {place.name: place for place in places}
        self.settings = settings or {}
        self.seconds = 1000.0
        self.numbers = itertools.count(1)
        self._stack = ExitStack()
        shutil.copy(index, directory / "index.db")
        self.database = engines.make({"url": f"sqlite:///{directory / 'index.db'}"})
        self.database.pragma("synchronous", 0, permanent=True)
        connection.bind(self.database)
        self._fill(edges)
        self._eye = sqlite3.connect(
            directory / "index.db", isolation_level=None, check_same_thread=False
        )
        self.baton = Baton(self.database.close)
        stops.on_statements(self.database)
        self.people = Process(self, "operator", "elsewhere")
        self.index: Index = state.read(self._eye)
        self.disks: dict[Spot, bytes | None] = self._look_at_disks()
        self.judge = Judge(self)
        self._killed: set[str] = set()
        self.daemons: dict[str, Daemon] = {}
        for place in places:
            if place.host not in self.daemons:
                self.daemons[place.host] = Daemon(self, place.host)

    def clock(self) -> float:
        """Return the seconds of this world."""
        return self.seconds

    def close(self) -> None:
        """End all actors and let go of everything."""
        self.baton.end()
        TOTAL.update(self.judge.seen)
        TOTAL.update(
            {
                "worlds": 1,
                "steps": self.baton.steps,
                "interruptions": self.baton.stops,
                "kills": self.baton.kills,
            }
        )
        for daemon in self.daemons.values():
            daemon.loop.routes.close()
        self._eye.close()
        self.database.close()

    # what is done in it

    def spawn(self, name: str, body: Callable[[], object], host: str | None = None) -> Actor:
        """Make an actor of the daemon of a host, or (without) a person's command."""
        process = self.people if host is None else self.daemons[host]
        return self.baton.spawn(name, process, body)

    def kill(self, host: str) -> None:
        """Kill the daemon of a host with -9; another one takes its place."""
        old = self.daemons[host]
        self.baton.kill(old)
        old.loop.routes.close()
        self.daemons[host] = Daemon(self, host)
        self._killed.add(host)

    def rest(self, whole: bool = True) -> None:
        """Let everybody finish, and daemons take up what was cut off; then judge what came of it.

        Args:
            whole: whole passes, with the groups' part.
        """
        self.baton.finish()
        open_on = {self.places[node].host for _, node in self.index.claimed()}
        for host in sorted(self._killed | open_on):
            daemon = self.daemons[host]
            body = daemon.once if whole else daemon.nodes_once
            self.baton.finish([self.spawn(daemon.name, body, host)])
        self.judge.at_rest()
        self.baton.judge()

    def person(self, what: str, act: Callable[[], object]) -> None:
        """Let a person do something to disks or rows, at once."""
        self.baton.story.append(f"a person {what}")
        act()
        self.looked("both", None)
        self.baton.judge()

    # places

    def root(self, node: str) -> Path:
        return self.directory / node

    def away(self, node: str) -> Path:
        """Where the medium of a node is while it is not at its root."""
        return self.directory / f"{node}.away"

    def file(self, spot: Spot) -> Path:
        """Where a copy lies."""
        path, node = spot
        return self.root(node) / path

    def disk_of(self, root: str | None) -> str:
        """Name the disk below a root."""
        place = self.places.get(Path(root or "").name)
        return (place.disk or place.name) if place else str(root)

    # what is seen

    def looked(self, where: str, actor: Actor | None) -> None:
        """Somebody has changed something: see what, and whether that may be."""
        with unnoticed():
            index, disks = self.index, self.disks
            if where != "disks":
                self.index = state.read(self._eye)
            if where != "index":
                self.disks = self._look_at_disks()
            broken = next(self.judge.after(actor, index, disks), None)
        if broken is not None:
            self.baton.fail(broken)
            if actor is not None:
                raise Killed

    def _look_at_disks(self) -> dict[Spot, bytes | None]:
        seen: dict[Spot, bytes | None] = {}
        for node in self.places:
            away = self.away(node)
            root = away if away.is_dir() else self.root(node)
            for path in DATA:
                try:
                    with open(f"{root}/{path}", "rb") as file:  # noqa: PTH123
                        seen[path, node] = file.read()
                except OSError:
                    seen[path, node] = None
        return seen

    def _fill(self, edges: Sequence[tuple[str, str, bool, bool]]) -> None:
        with connection.change():
            acq = db.ArchiveAcq.create(name="acq")
            files = [
                db.ArchiveFile.create(
                    acq=acq,
                    name=path.partition("/")[2],
                    size_b=len(data),
                    md5sum=hashlib.md5(data).hexdigest(),
                )
                for path, data in DATA.items()
            ]
            published = []
            for place in self.places.values():
                node = self._make_node(place)
                for file, text in zip(files, place.copies, strict=False):
                    self._make_copy(place, node, file, text)
                published.append(
                    {"node_id": node.id, "host": place.host, "store": self.disk_of(place.name)}
                )
            NodeStore.insert_many(published).execute()
            for source, group, sync, clean in edges:
                db.StorageTransferAction.create(
                    node_from=db.StorageNode.get(name=source),
                    group_to=db.StorageGroup.get(name=group),
                    autosync=sync,
                    autoclean=clean,
                )

    def _make_node(self, place: Place) -> Any:
        group, _ = db.StorageGroup.get_or_create(name=place.name)
        root = self.root(place.name)
        root.mkdir()
        (root / "ALPENHORN_NODE").write_text(f"{place.name}\n")
        columns = {"username": "user", "address": place.host, **dict(place.columns)}
        return db.StorageNode.create(
            name=place.name,
            host=place.host,
            group=group,
            root=str(root),
            storage_type=place.kind,
            active=True,
            **columns,
        )

    def _make_copy(self, place: Place, node: Any, file: Any, text: str) -> None:
        letters, _, disk = text.partition(" ")
        if letters != "--":
            db.ArchiveFileCopy.create(
                file=file, node=node, has_file=letters[0], wants_file=letters[1], ready=True
            )
        if disk != "gone":
            path = f"acq/{file.name}"
            where = self.file((path, place.name))
            where.parent.mkdir(exist_ok=True)
            where.write_bytes(DATA[path] if disk == "good" else ROTTEN)


@contextmanager
def prepared(directory: Path) -> Iterator[Callable[..., Any]]:
    """Replace what stands in for disks, ssh and time, as long as worlds are made.

    Yields:
        A context manager that makes a world; its arguments are those of `World` from `places` on.
    """
    template = directory / "template.db"
    database = engines.make({"url": f"sqlite:///{template}"})
    connection.bind(database)
    schema.initialise()
    for table in ("archiveacq", "archivefile", "archivefilecopy", "storagenode"):
        database.execute_sql(f"ALTER TABLE {table} ADD COLUMN of_the_site TEXT")  # invariant 30
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    numbers = itertools.count()
    current: list[World] = []

    @contextmanager
    def make(*args: Any, **kwargs: Any) -> Iterator[World]:
        place = directory / f"w{next(numbers)}"
        place.mkdir()
        world = World(place, template, *args, **kwargs)
        current[:] = [world]
        try:
            with stops.installed():
                yield world
        finally:
            world.close()
            shutil.rmtree(place)

    def now() -> float:
        return current[0].clock()

    def disk_of(root: str | None) -> str:
        return current[0].disk_of(root)

    patient = partial(Patience, clock=now, jitter=0)
    logger = logging.getLogger("alpenhorn")
    handler = _Bugs(current)
    with ExitStack() as stack:
        for module in (node_module, group_module, routes_module):
            stack.enter_context(mock.patch.object(module, "Patience", patient))
        for name in ("store_of", "lasting_name"):
            stack.enter_context(mock.patch.object(space, name, disk_of))
        stack.enter_context(mock.patch.object(route, "movers_for", lambda *_: [CopyMover()]))
        stack.enter_context(mock.patch.object(config, "_config", {}))
        stack.enter_context(mock.patch.object(space, "_reserved", defaultdict(int)))
        stack.enter_context(mock.patch.object(logger, "level", logging.ERROR))
        stack.enter_context(mock.patch.object(logger, "propagate", False))
        stack.enter_context(mock.patch.object(logger, "handlers", [handler]))
        logger.manager._clear_cache()  # type: ignore[attr-defined]
        detectors.use()
        try:
            yield make
        finally:
            loader.reset()
    logger.manager._clear_cache()  # type: ignore[attr-defined]


class _Bugs(logging.Handler):
    """An exception that nobody expected is logged with its traceback: it breaks the test."""

    def __init__(self, current: list[World]) -> None:
        super().__init__(logging.ERROR)
        self._current = current

    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info:
            return
        error = record.exc_info[1]
        if not isinstance(error, Killed):
            self._current[0].baton.fail(f"{record.getMessage()}: {error!r}", error)
