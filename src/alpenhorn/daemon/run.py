"""The daemon's life: lease, workers, signals, passes, clean shut-down (spec: daemon.md §3, §16)."""

from __future__ import annotations

import faulthandler
import logging
import signal
import time
from types import FrameType
from typing import Any

from alpenhorn import db
from alpenhorn.common import config, logger, metrics, processes
from alpenhorn.daemon import telemetry, watch
from alpenhorn.daemon.lease import Lease
from alpenhorn.daemon.loop import LOST_DATABASE, Loop
from alpenhorn.daemon.notify import Notifier
from alpenhorn.daemon.wake import Waker
from alpenhorn.db import connection, schema
from alpenhorn.db.queries import doorbell
from alpenhorn.db.retry import in_one_line
from alpenhorn.errors import IndexUnreachable, SchemaMismatch
from alpenhorn.scheduler import (
    EmptyPool,
    FairMultiFIFOQueue,
    TaskRunner,
    WorkerPool,
    global_abort,
    run_serial,
)
from alpenhorn.transfer import sharing

log = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""How long running tasks may take to end at shut-down before their child processes are killed."""

LONGEST_WAIT_S = 60.0
"""Longest pause between two looks for a database that is away."""


class Daemon:
    """One running daemon.

    Args:
        host: name of the daemon host.
        once: make one pass, wait until its work is done, and end.
    """

    def __init__(self, host: str, once: bool = False) -> None:
        self._once = once
        self._host = host
        self._manager = Notifier()
        self._waker = Waker(lambda: doorbell.rings(host), self._manager.alive, self._manager.beat_s)
        self._interrupted = False
        self._reopen_logs = False
        self._queue = FairMultiFIFOQueue()
        self._lease = Lease(host, on_lost=self._waker.stop)
        self._pool: WorkerPool | EmptyPool = EmptyPool()
        self._loop: Loop | None = None

    def run(self) -> int:
        """Run until told to stop; returns the exit status.

        Raises:
            AnotherDaemon: the host has a daemon already.
        """
        self._lease.take()
        try:
            self._start()
            return self._main()
        finally:
            self._shut_down()

    # start

    def _start(self) -> None:
        telemetry.start()
        sharing.start()
        if self._manager.beat_s:
            faulthandler.enable()  # the service manager's SIGABRT shows where we hang
        port = config.value("daemon.prom_client_port")
        if port and not self._once:
            metrics.start_endpoint(port, config.value("daemon.prom_client_addr"))
        self._pool = self._make_pool()
        self._loop = Loop(
            self._host, self._queue, self._pool, manager=self._manager, once=self._once
        )
        self._install_signals()

    def _make_pool(self) -> WorkerPool | EmptyPool:
        if not db.threadsafe():
            log.warning("Database is not threadsafe: forcing serial I/O.")
            return EmptyPool(TaskRunner(transient=LOST_DATABASE, on_finish=self._on_finish))
        return WorkerPool(
            config.value("daemon.num_workers"),
            self._queue,
            transient=LOST_DATABASE,
            before_task=_reconnect,
            on_thread_end=db.close,
            on_finish=self._on_finish,
        )

    def _on_finish(self, task: Any, failure: BaseException | None) -> None:
        """Wake the main loop when a FIFO runs dry: there may be a next batch or hop."""
        loop = self._loop
        if loop is None:
            return
        for node in list(loop.nodes.values()):
            if node.io.fifo == task.key:
                node.worked = True
        if self._queue.queued(task.key) < max(1, len(self._pool)):
            self._waker.wake()

    def _install_signals(self) -> None:
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_hangup)
        signal.signal(signal.SIGUSR1, self._on_more)
        signal.signal(signal.SIGUSR2, self._on_less)
        # A writer that breaks a lease we just asked for (alpenhorn.io.default.writers).
        signal.signal(signal.SIGIO, signal.SIG_IGN)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            processes.kill_all()
            raise SystemExit(1)
        self._interrupted = True
        log.info(f"Exiting due to {signal.Signals(number).name}.")
        self._waker.stop()

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self._reopen_logs = True
        self._waker.wake()

    def _on_more(self, number: int, frame: FrameType | None) -> None:
        if isinstance(self._pool, EmptyPool):
            log.info("SIGUSR1 ignored: serial I/O only.")
            return
        log.info("SIGUSR1 caught: incrementing worker count.")
        self._pool.add_worker(blocking=False)

    def _on_less(self, number: int, frame: FrameType | None) -> None:
        log.info("SIGUSR2 caught: decrementing worker count.")
        self._pool.del_worker(blocking=False)

    # passes

    def _main(self) -> int:
        self._manager.ready()  # the index was read and the lease is ours
        pause = 1.0
        while not self._ending():
            started = time.monotonic()
            self._hear()
            if self._pass():
                pause = 1.0
                if self._once:
                    return self._wait_for_work()
                self._sleep(self._next_pass(started))
            else:
                self._waker.pause(pause)
                pause = min(2 * pause, LONGEST_WAIT_S)
        if global_abort.is_set():
            log.warning("Exiting due to global abort.")
        return 1

    def _next_pass(self, started: float) -> float:
        """When to look again if nothing wakes us: after the interval, or for a failed transfer."""
        assert self._loop is not None
        regular: float = started + config.value("daemon.update_interval")
        due = self._loop.due()
        return regular if due is None else min(regular, due)

    def _ending(self) -> bool:
        return self._waker.stopping or global_abort.is_set()

    def _hear(self) -> None:
        if self._reopen_logs:
            self._reopen_logs = False
            logger.reopen_log_files()
        self._waker.listen()

    def _sleep(self, until: float) -> None:
        self._waker.sleep(until)

    def _pass(self) -> bool:
        """Make one pass; returns False if the database is away."""
        assert self._loop is not None
        try:
            if connection.ensure_usable():
                schema.check_schema()  # it may have changed while we were cut off (W-33)
            self._loop.tick()
            if len(self._pool) == 0:
                self._serial_io()
            self._manager.status(f"Nodes: {len(self._loop.nodes)}. {self._loop.tasks()}")
        except (*LOST_DATABASE, IndexUnreachable) as error:
            log.error(f"Database error: {in_one_line(error)}; waiting for the database.")
            self._manager.status(f"Waiting for the database: {in_one_line(error)}")
            return False
        except SchemaMismatch as error:
            log.error(error.message)
            self._waker.stop()
        return True

    def _serial_io(self) -> None:
        limit = config.value("daemon.serial_io_timeout")
        with self._manager.unwatched():
            telemetry.serial(run_serial(self._queue, limit, runner=self._pool.runner))

    def _wait_for_work(self) -> int:
        """With ``--once``: wait until all tasks are done."""
        assert self._loop is not None
        waiting = False
        while not self._ending():
            if not (self._queue.qsize or self._queue.inprogress_size or self._queue.deferred_size):
                log.info("Update complete: exiting.")
                return 0
            if not waiting:
                log.info("Waiting for tasks to finish.")
                waiting = True
            if len(self._pool) == 0:
                self._serial_io()
            self._waker.listen()
            if self._queue.qsize or self._queue.inprogress_size:
                self._sleep(time.monotonic() + config.value("daemon.update_interval"))
            elif self._queue.deferred_size:
                self._sleep(time.monotonic() + 1)
            self._loop.say_tasks()
        return 1

    # the end

    def _shut_down(self) -> None:
        self._manager.stopping()
        watch.stop_all()
        if self._loop is not None:
            self._loop.close()
        if not self._pool.shutdown(timeout=PATIENCE_S):
            log.warning("Tasks are still running: ending their child processes.")
            processes.kill_all()
            self._pool.shutdown(timeout=PATIENCE_S)
        sharing.stop()
        self._lease.release()
        db.close()


def _reconnect() -> None:
    """Make this thread's connection usable before a task."""
    connection.ensure_usable()


def run(host: str, once: bool = False) -> int:
    """Run a daemon for `host`; see `Daemon`."""
    return Daemon(host, once).run()
