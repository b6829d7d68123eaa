"""Actors that take turns: threads of which exactly one runs at a time.

An actor runs until it has spent what it was given: so many changes, then so many looks. It stops
*before* a step, so whoever goes next finds the world as it was left. Nobody stops inside a write
transaction, since the database lets nobody else write then; so no actor ever waits for a lock that
a stopped one holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_me = threading.local()

ENDLESS = 10**9


class Killed(BaseException):
    """Stands for kill -9: no step of the actor is made any more, not by its clean-up either."""


def me() -> Actor | None:
    """Return the actor whose thread this is, if it is one."""
    return getattr(_me, "actor", None)


@contextmanager
def unnoticed() -> Iterator[None]:
    """Do something in an actor's thread that is none of its steps."""
    actor, _me.actor = me(), None
    try:
        yield
    finally:
        _me.actor = actor


class Actor:
    """One thread of a process, or a person at a command line.

    Args:
        baton: who lets it run.
        name: for the story.
        process: what it belongs to; its `enter` is called before each turn.
        body: what it does.
    """

    def __init__(self, baton: Baton, name: str, process: Any, body: Callable[[], object]) -> None:
        self.name, self.process = name, process
        self.over = False
        self.doomed = False
        self.blocked = False
        self.since = 0
        """Number of the world's step at which its present job began."""
        self.job = ""
        self._baton, self._body = baton, body
        self._changes, self._looks = 0, 0
        self._turn = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def run(self, changes: int, looks: int) -> None:
        """Let it run, in the thread of the one who holds the baton; returns when it has stopped."""
        if self.over:
            return
        self._changes, self._looks, self.blocked = changes, looks, False
        self.process.enter()
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name=self.name, daemon=True)
            self._thread.start()
        else:
            self._turn.release()
        if not self._baton.back.acquire(timeout=60):
            raise RuntimeError(f"{self.name} waits for something that only another can give")

    def step(self, what: str, change: bool) -> None:
        """Called before each step: stop here, if all that was given is spent."""
        while True:
            if self.doomed:
                raise Killed
            if self._changes:
                self._changes -= change
                break
            if not change and self._looks:
                self._looks -= 1
                break
            self._stop()
        self._baton.steps += 1
        if change:
            self._baton.tell(self, what)

    def wait_for_another(self) -> None:
        """Called instead of waiting for a lock: let somebody else run first."""
        self.blocked = True
        self._stop()
        if self.doomed:
            raise Killed

    def begin(self, job: str) -> None:
        """Note that another job begins."""
        self.job, self.since = job, self._baton.steps

    def _stop(self) -> None:
        self._baton.back.release()
        self._turn.acquire()

    def _live(self) -> None:
        _me.actor = self
        try:
            self.begin(self.name)
            self._body()
        except Killed:
            pass
        except BaseException as error:
            self._baton.fail(f"{self.name} failed: {error!r}", error)
        finally:
            _me.actor = None
            self._baton.at_end()
            self.over = True
            self._baton.back.release()


class Baton:
    """Says whose turn it is.

    Args:
        at_end: called in the thread of an actor that has ended.
    """

    def __init__(self, at_end: Callable[[], object]) -> None:
        self.actors: list[Actor] = []
        self.back = threading.Semaphore(0)
        self.steps = 0
        self.kills = 0
        self.stops = 0
        """How often an actor stopped before its end."""
        self.story: list[str] = []
        self.at_end = at_end
        self._failure: tuple[str, BaseException | None] | None = None

    def spawn(self, name: str, process: Any, body: Callable[[], object]) -> Actor:
        """Make an actor; it does nothing before it is let."""
        actor = Actor(self, name, process, body)
        self.actors.append(actor)
        return actor

    def advance(self, actor: Actor, changes: int = ENDLESS, looks: int = 0) -> None:
        """Let an actor make so many changes, and then look so often; or until it waits or ends.

        Raises:
            AssertionError: something is broken that must not be.
        """
        actor.run(changes, looks)
        self.stops += not actor.over
        if actor.over and actor in self.actors:
            self.actors.remove(actor)
        self.judge()

    def finish(self, actors: Iterable[Actor] | None = None) -> None:
        """Let all actors run to their ends, one after the other.

        Raises:
            AssertionError: something is broken, or they all wait for one another.
        """
        waiting = list(self.actors if actors is None else actors)
        while waiting:
            before = self.steps
            for actor in waiting:
                self.advance(actor)
            waiting = [actor for actor in waiting if not actor.over]
            assert not waiting or self.steps > before, "all actors wait for one another"

    def kill(self, process: Any) -> None:
        """Kill a process: its actors make no further step."""
        self.story.append(f"{process.name} is killed")
        self.kills += 1
        for actor in [actor for actor in self.actors if actor.process is process]:
            actor.doomed = True
            if actor._thread is not None:
                actor.run(0, 0)
            self.actors.remove(actor)

    def end(self) -> None:
        """Get rid of all actors."""
        kills = self.kills
        for process in {id(a.process): a.process for a in self.actors}.values():
            self.kill(process)
        self.kills = kills

    def tell(self, actor: Actor, what: str) -> None:
        """Add a line to the story."""
        self.story.append(f"{actor.name}: {what}")

    def fail(self, what: str, error: BaseException | None = None) -> None:
        """Note that something is broken; everybody stops."""
        if self._failure is None:
            self._failure = (what, error)
        for actor in self.actors:
            actor.doomed = True

    def judge(self) -> None:
        """Raise what is broken.

        Raises:
            AssertionError: with the story that led there.
        """
        if self._failure is not None:
            what, error = self._failure
            raise AssertionError("\n  ".join([what, *self.story])) from error
