"""The queue behaves like a simple model of the rules, whatever is done to it in which order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alpenhorn.scheduler import FairMultiFIFOQueue

KEYS = st.sampled_from("abcd")


@dataclass
class ModelFifo:
    """The rules of daemon.md §8.1, written down without any cleverness."""

    last_used: int
    queued: list[tuple[int, bool]] = field(default_factory=list)
    running: int = 0
    exclusive_runs: bool = False

    def can_give(self) -> bool:
        blocked = self.queued and self.queued[0][1] and self.running > 0
        return bool(self.queued) and not self.exclusive_runs and not blocked


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue = FairMultiFIFOQueue(clock=lambda: self.now)
        self.fifos: dict[str, ModelFifo] = {}
        self.deferred: list[tuple[float, int, str, bool]] = []
        self.ticks = 0
        self.items = 0

    def tick(self) -> int:
        self.ticks += 1
        return self.ticks

    def fifo(self, key: str) -> ModelFifo:
        if key not in self.fifos:
            self.fifos[key] = ModelFifo(self.tick())
        return self.fifos[key]

    @rule(key=KEYS, exclusive=st.booleans(), wait=st.sampled_from([0, 0, 1, 2, 5]))
    def put(self, key: str, exclusive: bool, wait: int) -> None:
        self.items += 1
        assert self.queue.put(self.items, key, exclusive, wait) is True
        fifo = self.fifo(key)
        if wait:
            self.deferred.append((self.now + wait, self.items, key, exclusive))
        else:
            fifo.queued.append((self.items, exclusive))

    @rule(seconds=st.sampled_from([0.5, 1, 3]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def get(self) -> None:
        self.admit_due()
        choice = [
            (fifo.running, fifo.last_used, key)
            for key, fifo in self.fifos.items()
            if fifo.can_give()
        ]
        got = self.queue.get(timeout=0)
        if not choice:
            assert got is None
            return
        key = min(choice)[2]
        fifo = self.fifos[key]
        item, fifo.exclusive_runs = fifo.queued.pop(0)
        fifo.running += 1
        fifo.last_used = self.tick()
        assert got == (item, key)

    def admit_due(self) -> None:
        for entry in sorted(self.deferred):
            due, item, key, exclusive = entry
            if due <= self.now:
                self.fifos[key].queued.append((item, exclusive))
                self.deferred.remove(entry)

    @rule(key=KEYS)
    def task_done(self, key: str) -> None:
        fifo = self.fifos.get(key)
        if fifo and fifo.running:
            self.queue.task_done(key)
            fifo.running -= 1
            fifo.exclusive_runs = False
            fifo.last_used = self.tick()

    @rule(key=KEYS)
    def clear(self, key: str) -> None:
        deferred = [entry for entry in self.deferred if entry[2] == key]
        queued = len(self.fifos[key].queued) if key in self.fifos else 0
        assert self.queue.clear_fifo(key) == (queued, len(deferred))
        self.deferred = [entry for entry in self.deferred if entry not in deferred]
        if key in self.fifos:
            self.fifos[key].queued.clear()

    @invariant()
    def sizes_agree(self) -> None:
        expected = {
            key: (
                len(fifo.queued),
                sum(entry[2] == key for entry in self.deferred),
                fifo.running,
                fifo.exclusive_runs,
            )
            for key, fifo in self.fifos.items()
        }
        assert self.queue.snapshot() == expected
        assert self.queue.qsize == sum(counts[0] for counts in expected.values())
        assert self.queue.deferred_size == len(self.deferred)
        assert self.queue.inprogress_size == sum(counts[2] for counts in expected.values())


TestQueueAgainstModel = QueueMachine.TestCase
TestQueueAgainstModel.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, database=None
)
