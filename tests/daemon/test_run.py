"""The daemon's life in one process: ``--once``, serial mode, a database that goes away, the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.daemon import run as module
from alpenhorn.daemon.loop import Loop
from alpenhorn.daemon.run import Daemon, run
from alpenhorn.db import connection, schema
from alpenhorn.db.operations import DaemonLease
from alpenhorn.errors import AnotherDaemon, IndexUnreachable, SchemaMismatch
from alpenhorn.io.default import DefaultNodeIO
from alpenhorn.scheduler import EmptyPool, Task, WorkerPool, global_abort

HANDLED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGIO")


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The handlers of pytest come back afterwards."""
    before = {name: signal.getsignal(getattr(signal, name)) for name in HANDLED}
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.fixture(autouse=True)
def workers_go(index: Any) -> Iterator[None]:
    """No worker outlives its test."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("Worker#"):
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def world(daemon: Any, settings: dict[str, Any]) -> Any:
    """A node with a file to be imported and one to be checked; the daemon is another one."""
    settings["update_interval"] = 0
    row = daemon.node()
    daemon.write("acq/new")
    daemon.make.file("acq/old", md5sum="8d777f385d3dfec8815d20f7496026dc")
    daemon.make.copy("acq/old", row, has="M")
    daemon.write("acq/old")
    daemon.ask(".", recurse=True)
    return daemon


def states(world: Any) -> dict[str, str]:
    return world.make.states(db.StorageNode.get(name="node"))


class TestOnce:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_it_makes_one_pass_and_waits_for_its_work(
        self, world: Any, settings: dict[str, Any], workers: int
    ) -> None:
        """Imports are tasks made by a task, the scan: they are waited for."""
        settings["num_workers"] = workers
        assert run("here", once=True) == 0
        assert states(world) == {"acq/new": "YY", "acq/old": "YY"}
        assert len(world.lines("Main loop execution was")) == 1
        assert "Update complete: exiting." in world.said
        assert not DaemonLease.select().exists()

    def test_with_nothing_to_do_it_ends_at_once(self, daemon: Any) -> None:
        assert run("here", once=True) == 0
        assert daemon.said[-1] == "Update complete: exiting."
        assert "Waiting for tasks to finish." not in daemon.said

    @pytest.mark.parametrize("workers", [0, 2])
    def test_failing_tasks_do_not_keep_it_from_ending(
        self,
        world: Any,
        settings: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        workers: int,
    ) -> None:
        """Weakness 28: it never ended, writing lines by the ten thousand."""
        settings["num_workers"] = workers

        def broken(*args: Any) -> Any:
            raise ZeroDivisionError("in a task")

        monkeypatch.setattr(DefaultNodeIO, "file_walk", broken)
        assert run("here", once=True) == 0
        assert states(world) == {"acq/old": "YY"}
        assert len(world.lines("Tasks: ")) < 50
        assert len(world.lines('Task Scan "." on node failed')) == 1

    def test_a_database_that_fails_in_every_task_does_not_keep_it_from_ending(
        self, world: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The scan of a request is not repeated by itself: its request stays pending."""

        def gone(*args: Any) -> Any:
            raise pw.OperationalError("server has gone away")

        monkeypatch.setattr(DefaultNodeIO, "file_walk", gone)
        assert run("here", once=True) == 0
        pending = db.ArchiveFileImportRequest.select().where(
            db.ArchiveFileImportRequest.completed == False  # noqa: E712
        )
        assert pending.count() == 1

    def test_deferred_tasks_are_waited_for(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also without workers (weakness 28)."""
        answers = iter([False, True, True])
        monkeypatch.setattr("alpenhorn.daemon.jobs.importing.NOT_READY_S", 0.2)
        monkeypatch.setattr(DefaultNodeIO, "ready_path", lambda io, path: next(answers))
        assert run("here", once=True) == 0
        assert states(world)["acq/new"] == "YY"

    def test_an_abort_ends_it_with_status_1(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(DefaultNodeIO, "file_walk", lambda io, path: global_abort.set() or [])
        assert run("here", once=True) == 1


class TestSerial:
    def test_a_database_that_is_not_thread_safe_forces_serial_io(
        self, world: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings["num_workers"] = 4
        monkeypatch.setattr(module.db, "threadsafe", lambda: False)
        before = set(threading.enumerate())
        assert run("here", once=True) == 0
        assert "Database is not threadsafe: forcing serial I/O." in world.said
        assert states(world)["acq/new"] == "YY"
        assert {t for t in threading.enumerate() if t.name.startswith("Worker")} <= before

    def test_tasks_are_told_about_as_by_workers(self, world: Any) -> None:
        run("here", once=True)
        assert 'Beginning task Scan "." on node' in world.said
        assert 'Finished task: Scan "." on node' in world.said

    def test_the_time_per_pass_is_limited(self, world: Any, settings: dict[str, Any]) -> None:
        """A long queue does not keep the daemon from looking at the index."""
        settings["serial_io_timeout"] = 0
        life = Daemon("here")
        life._loop = Loop("here", life._queue, life._pool)
        assert life._pass()
        assert life._queue.qsize > 0
        life._loop.close()

    def test_signals_that_change_the_pool_do_no_harm(self, daemon: Any) -> None:
        """Weakness 32: they crashed the daemon."""
        life = Daemon("here")
        assert isinstance(life._pool, EmptyPool)
        life._on_more(signal.SIGUSR1, None)
        life._on_less(signal.SIGUSR2, None)
        assert "SIGUSR1 ignored: serial I/O only." in daemon.said
        assert len(life._pool) == 0


class TestNextPass:
    @pytest.mark.parametrize(("due", "expected"), [(None, 160), (105, 105), (500, 160)])
    def test_it_comes_after_the_interval_or_sooner_for_a_failed_transfer(
        self,
        daemon: Any,
        settings: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        due: float | None,
        expected: float,
    ) -> None:
        """A single broken connection cost a transfer of 0.5 s a whole minute."""
        settings["update_interval"] = 60
        life = Daemon("here")
        life._loop = Loop("here", life._queue, life._pool)
        monkeypatch.setattr(life._loop, "due", lambda: due)
        assert life._next_pass(100) == expected
        life._loop.close()


class TestLostDatabase:
    @pytest.fixture
    def life(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        """Run a daemon whose first passes fail; it is stopped after its first good pass."""

        def live(failures: int, error: Exception) -> int:
            left = [error] * failures
            tick = Loop.tick

            def failing(loop: Loop) -> None:
                if left:
                    raise left.pop()
                tick(loop)
                made._waker.stop()

            pauses: list[float] = []
            world.pauses = pauses
            made = Daemon("here")
            monkeypatch.setattr(Loop, "tick", failing)
            monkeypatch.setattr(made._waker, "pause", pauses.append)
            return made.run()

        return live

    @pytest.mark.parametrize(
        "error", [pw.OperationalError("gone away"), pw.InterfaceError("connection already closed")]
    )
    def test_it_is_waited_for_and_then_the_daemon_goes_on(
        self, world: Any, life: Any, error: Exception
    ) -> None:
        """Weakness 27: it ended without a clean shut-down."""
        assert life(3, error) == 1
        assert world.pauses == [1, 2, 4]
        assert 'Updating node "node".' in world.said
        line = f"Database error: {error}; waiting for the database."
        assert world.level_of(line) == "ERROR"

    def test_the_pauses_grow_to_a_minute_at_most(self, world: Any, life: Any) -> None:
        life(10, pw.OperationalError("gone away"))
        assert world.pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]

    def test_a_database_that_goes_again_while_its_schema_is_looked_at(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        life = Daemon("here")

        def unreachable() -> None:
            raise IndexUnreachable("Database read error: gone again")

        monkeypatch.setattr(connection, "ensure_usable", lambda: True)
        monkeypatch.setattr(schema, "check_schema", unreachable)
        life._loop = Loop("here", life._queue, life._pool)
        assert not life._pass()
        assert not life._ending()
        life._loop.close()

    def test_a_schema_that_changed_meanwhile_ends_the_daemon(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """W-33: somebody migrated the index while we were cut off."""

        def mismatch() -> None:
            raise SchemaMismatch("wanted version 2; found version 3")

        monkeypatch.setattr(connection, "ensure_usable", lambda: True)
        monkeypatch.setattr(schema, "check_schema", mismatch)
        assert run("here") == 1
        assert "wanted version 2; found version 3" in world.said
        assert 'Updating node "node".' not in world.said


class TestEnd:
    def test_a_second_daemon_does_not_touch_anything(self, world: Any) -> None:
        first = Daemon("here")
        first._lease.take()
        try:
            with pytest.raises(AnotherDaemon):
                run("here", once=True)
            assert states(world) == {"acq/old": "MY"}
            assert DaemonLease.select().count() == 1, "the first one's lease is still there"
        finally:
            first._lease.release()

    def test_a_lost_lease_stops_the_daemon(self, world: Any) -> None:
        life = Daemon("here")
        life._lease.take()
        DaemonLease.update(holder="99:other", machine="far/boot/pid").execute()
        life._lease.renew()
        assert life._waker.stopping
        assert life._ending()
        life._shut_down()

    def test_stopping_lets_running_tasks_finish(
        self, world: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings["num_workers"] = 1
        life = Daemon("here")
        running, finish = threading.Event(), threading.Event()
        walk = DefaultNodeIO.file_walk

        def slow(io: Any, path: Any) -> Any:
            running.set()
            assert finish.wait(10)
            return walk(io, path)

        def stop_now() -> None:
            running.wait(10)
            life._on_stop(signal.SIGTERM, None)
            finish.set()

        monkeypatch.setattr(DefaultNodeIO, "file_walk", slow)
        threading.Thread(target=stop_now, daemon=True).start()
        assert life.run() == 1
        assert "Exiting due to SIGTERM." in world.said
        assert 'Finished task: Scan "." on node' in world.said
        assert not DaemonLease.select().exists()

    def test_a_second_signal_ends_it_at_once(self, world: Any) -> None:
        life = Daemon("here")
        life._on_stop(signal.SIGINT, None)
        with pytest.raises(SystemExit) as ended:
            life._on_stop(signal.SIGINT, None)
        assert ended.value.code == 1

    def test_finished_work_wakes_the_main_loop(self, world: Any, settings: dict[str, Any]) -> None:
        """The next hop or batch does not wait for the interval (weakness 18)."""
        settings["update_interval"] = 3600
        settings["num_workers"] = 1
        life = Daemon("here")
        passes: list[int] = []
        tick = Loop.tick

        def count(loop: Loop) -> None:
            passes.append(1)
            tick(loop)
            if len(passes) > 1 and states(world).get("acq/new") == "YY":
                life._waker.stop()

        Loop.tick = count  # type: ignore[method-assign]
        try:
            watchdog = threading.Timer(20, life._waker.stop)
            watchdog.start()
            life.run()
            watchdog.cancel()
        finally:
            Loop.tick = tick  # type: ignore[method-assign]
        assert len(passes) > 1
        assert states(world)["acq/new"] == "YY"


def test_a_worker_that_dies_is_replaced_in_the_next_pass(
    world: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["num_workers"] = 1
    life = Daemon("here")
    pool = life._pool = life._make_pool()
    assert isinstance(pool, WorkerPool)
    dead = pool._workers[0]
    dead.told_to_stop.set()
    life._queue.wake()
    dead.join(10)
    life._loop = Loop("here", life._queue, pool)
    life._loop.tick()
    assert "Respawning dead worker #1." in world.said
    life._loop.close()
    assert pool.shutdown(10)


def test_a_task_that_raises_costs_only_itself(world: Any, settings: dict[str, Any]) -> None:
    """Weakness 25: any exception was a global abort."""
    life = Daemon("here", once=True)

    def broken(task: Task) -> None:
        raise ZeroDivisionError("of a third party")

    Task(broken, queue=life._queue, key="mine", name="Broken")
    assert life.run() == 0
    assert not global_abort.is_set()
    assert states(world)["acq/new"] == "YY"
    assert any("Task Broken failed" in line for line in world.said)
