"""Random work and random faults for as long as one says; then disks and index are compared.

The seed decides what is done, hit, and for how long; what the daemons make of it in the meantime
depends on the machine as well.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from tabulate import tabulate

from faults.faults import FAULTS
from faults.fleet import ARCHIVES, NODES, Fleet, ended

SETTLE_S = 100


class Soak:
    """One run; `play` does it, and `table` tells about it."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet = fleet
        self.seed = seed
        self.done: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.journal: list[str] = []
        self.lost: list[str] = []
        self.wrong: list[str] = []
        self.errors: list[str] = []
        self.slowest_s = 0.0
        self._over = threading.Event()
        self._begin = time.monotonic()

    def play(self, seconds: float) -> None:
        """Work under faults for so long, then let everything settle, and compare."""
        self._begin = time.monotonic()
        saboteur = threading.Thread(target=self._sabotage)
        saboteur.start()
        try:
            rng = random.Random(self.seed)
            while time.monotonic() - self._begin < seconds and not self.errors:
                self._work(rng)
        finally:
            self._over.set()
            saboteur.join()
        self._look_at_daemons()
        self._settle()
        self._judge(damaged_allowed=True)
        for node in NODES:
            # Released copies are not verified.
            self.fleet.run("node", "clean", node, "--cancel", "--archive-ok", "--force")
            self.fleet.run("node", "verify", node, "--all", "--force")
        self._rest()
        self._judge(damaged_allowed=False)

    # what happens

    def _work(self, rng: random.Random) -> None:
        names, weights = list(OPERATIONS), [weight for weight, _ in OPERATIONS.values()]
        name = rng.choices(names, weights)[0] if self.done["import"] else "import"
        _, operation = OPERATIONS[name]
        words = operation(self.fleet, rng)
        begin = time.monotonic()
        finished = self.fleet.run(*words)
        self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
        self.done[name] += 1
        why = finished.stderr.strip().splitlines()[-1:] if finished.code else []
        self._note(f"{' '.join(words)}: {finished.code} {' '.join(why)}")
        if "Traceback" in finished.stderr:
            self.errors.append(finished.stderr)

    def _sabotage(self) -> None:
        rng = random.Random(self.seed + 1)
        while not self._over.wait(rng.uniform(0, 2)):
            name = rng.choice(list(FAULTS))
            try:
                hit = FAULTS[name](self.fleet, rng)
            except Exception as error:
                self.errors.append(f"{name}: {error!r}")
                return
            if hit is not None:
                self.faults[name] += 1
                self._note(f"FAULT {name}: {hit}")
            self._look_at_daemons()

    def _look_at_daemons(self) -> None:
        for name, host in self.fleet.site.hosts.items():
            if ended(host):
                assert host.process is not None
                self.errors.append(f"the daemon of {name} ended with {host.process.returncode}")

    def _settle(self) -> None:
        """Start all daemons anew, so that nobody rests after failures, and have them finish."""
        for name in self.fleet.site.hosts:
            self.fleet.site.kill9(name)
            self.fleet.site.start(name)
        self.fleet.run("node", "scan", "field", "--register-new")
        self._rest()

    def _rest(self) -> None:
        self.fleet.site.wait(self._at_rest, SETTLE_S, "the daemons to come to rest", every=0.5)

    def _at_rest(self) -> bool:
        unchecked = "archivefilecopy WHERE has_file = 'M' AND wants_file != 'N'"
        imports = "archivefileimportrequest WHERE completed = 0"
        claims = "alpenhorn_deletion WHERE removed IS NULL AND given_back IS NULL"
        tables = (unchecked, imports, claims)
        return not any(self.fleet.site.value(f"SELECT count(*) FROM {t}") for t in tables)

    # what came of it

    def _judge(self, damaged_allowed: bool) -> None:
        """Compare while no daemon works: transfers that waited for a check may still go on."""
        self.fleet.site.stop(*self.fleet.site.hosts)
        self.compare(damaged_allowed)
        self.fleet.site.start(*self.fleet.site.hosts)

    def compare(self, damaged_allowed: bool) -> None:
        """Look at every disk and every row.

        Args:
            damaged_allowed: rows may call those copies healthy that we damaged: nobody has read
                them since.
        """
        states = {node: self.fleet.site.states(node) for node in NODES}
        for path in self.fleet.files:
            self._compare_file(path, states, damaged_allowed)
        if self.fleet.run("db", "check").code:
            self.wrong.append(self.fleet.run("db", "check").stdout)
        missing = set(self.fleet.files) - {path for of in states.values() for path in of}
        self.wrong += [f"{path} was never registered" for path in sorted(missing)]

    def _compare_file(
        self, path: str, states: dict[str, dict[str, str]], damaged_allowed: bool
    ) -> None:
        good = {node for node in NODES if self.fleet.good(path, node)}
        damaged = {node for hit, node in self.fleet.flipped if hit == path}
        if len((good | damaged) & set(ARCHIVES)) < 2 and "field" not in good:
            self.lost.append(f"{path}: good on {sorted(good)}, damaged on {sorted(damaged)}")
        believed = {node for node in NODES if states[node].get(path, "N").startswith("Y")}
        untrue = believed - good - (damaged if damaged_allowed else set())
        self.wrong += [f"{path} is called healthy on {node}, and is not" for node in sorted(untrue)]
        gone = {node for node in good if states[node].get(path) in ("NN", "NY", "NM", "XY")}
        self.wrong += [f"{path} is {states[n][path]} on {n}, and is there" for n in sorted(gone)]

    @property
    def table(self) -> str:
        """The closing table."""
        rows: list[tuple[str, object]] = [
            ("seed", self.seed),
            ("seconds", round(time.monotonic() - self._begin)),
            ("files", len(self.fleet.files)),
            ("slowest command, s", round(self.slowest_s)),
            ("operations", sum(self.done.values())),
            *((f"  {name}", count) for name, count in sorted(self.done.items())),
            ("faults", sum(self.faults.values())),
            *((f"  {name}", self.faults[name]) for name in FAULTS),
            ("copies transferred", self._count("archivefilecopyrequest WHERE completed = 1")),
            ("copies deleted", self._count("alpenhorn_deletion WHERE removed NOTNULL")),
            ("files lost", len(self.lost)),
            ("rows wrong", len(self.wrong)),
            ("errors", len(self.errors)),
        ]
        return tabulate(rows, ["what", "count"], disable_numparse=True)

    def _count(self, what: str) -> int:
        return int(self.fleet.site.value(f"SELECT count(*) FROM {what}"))

    @property
    def bad(self) -> list[str]:
        """All that must not be."""
        return [*self.errors, *self.lost, *self.wrong]

    def _note(self, text: str) -> None:
        line = f"{time.monotonic() - self._begin:8.2f} {text}"
        self.journal.append(line)
        with (self.fleet.site.path / "journal").open("a") as journal:
            journal.write(f"{line}\n")


# ---- operations


def _import(fleet: Fleet, rng: random.Random) -> list[str]:
    if sum(1 for _ in fleet.files) < 1500:
        fleet.write(rng, rng.randrange(1, 30))
    return ["node", "scan", "field", "--register-new"]


def _sync(fleet: Fleet, rng: random.Random) -> list[str]:
    source = rng.choice(["field", "field", *ARCHIVES])
    goal = rng.choice([node for node in ARCHIVES if node != source])
    return ["node", "sync", source, goal, "--force"]


def _clean(fleet: Fleet, rng: random.Random) -> list[str]:
    node = rng.choice(list(NODES))
    return ["node", "clean", node, "--now", "--archive-ok", "--force"]


def _cancel(fleet: Fleet, rng: random.Random) -> list[str]:
    return ["node", "clean", rng.choice(list(NODES)), "--cancel", "--archive-ok", "--force"]


def _verify(fleet: Fleet, rng: random.Random) -> list[str]:
    return ["node", "verify", rng.choice(list(NODES)), "--all", "--force"]


def _repair(fleet: Fleet, rng: random.Random) -> list[str]:
    return ["node", "repair", "--all", "--force"]


OPERATIONS: dict[str, tuple[int, Callable[[Fleet, random.Random], list[str]]]] = {
    "import": (4, _import),
    "sync": (5, _sync),
    "clean": (3, _clean),
    "cancel clean": (1, _cancel),
    "verify": (2, _verify),
    "repair": (1, _repair),
}
