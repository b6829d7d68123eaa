"""The lines of the table: which work, beside which yardstick, and what is to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from programs import OURS, Program

from bulkwork.setting import Setting
from bulkwork.targets import Target, at_least
from bulkwork.trees import Tree
from bulkwork.works import (
    Took,
    check,
    delete,
    import_by_path,
    import_by_pattern,
    pull_by_ssh,
    pull_locally,
)
from bulkwork.yardsticks import link, md5sum, md5sum_two, rm, rsync, rsync_and_md5sum

Work = Callable[[Setting, Program, Tree, Path], Took]
Yardstick = Callable[[Setting, Tree, Path], float]

GROWTH = 10
"""How many times the files of a work an index holds already, where growth is measured."""

GROWN = at_least(-0.2)
"""To reach: the change of the rate in such an index."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    work: Work
    yardstick: Yardstick
    measured_by: str
    ratio: float | None
    """To reach: the yardstick's seconds divided by ours."""
    tree: str = "small"
    rate: float | None = None
    """To reach: files per second."""
    grows: bool = False
    """Is it also measured in an index that holds ten times the files already?"""
    peer_ratio: float | None = None
    """To reach: our files per second, divided by the public program's; None: not compared."""


@dataclass
class Result:
    """What was measured for one row."""

    row: Row
    files: int
    yardstick: list[float] = field(default_factory=list)
    ours: list[Took] = field(default_factory=list)
    grown: list[Took] = field(default_factory=list)
    """Ours, in an index that held files already."""
    failure: str = ""
    """Why ours was not measured."""
    peer_rates: list[float] = field(default_factory=list)
    """Files per second of the public program."""
    peer_failure: str = ""

    @property
    def seconds(self) -> float:
        """What ours takes."""
        return statistics.median(took.seconds for took in self.ours)

    @property
    def rate(self) -> float:
        """Our files per second."""
        return self.files / self.seconds

    @property
    def ratios(self) -> list[float]:
        """The yardstick's seconds divided by ours, of each round."""
        return [b / took.seconds for b, took in zip(self.yardstick, self.ours, strict=True)]

    @property
    def growth(self) -> float | None:
        """How our rate changes in an index that holds files already; -0.1: a tenth less."""
        if not self.grown:
            return None
        pairs = zip(self.ours, self.grown, strict=True)
        return statistics.median(took.seconds / grown.seconds for took, grown in pairs) - 1

    @property
    def peer_rate(self) -> float | None:
        """Files per second of the public program."""
        return statistics.median(self.peer_rates) if self.peer_rates else None

    @property
    def peer_ratio(self) -> float | None:
        """Our files per second, divided by the public program's."""
        return self.rate / self.peer_rate if self.ours and self.peer_rate else None

    def missed(self) -> list[str]:
        """The names of the targets that are not reached; what was not measured is not judged."""
        if self.failure:
            return [self.failure]
        judged: list[tuple[str, float | None, Target | None]] = [
            ("ratio", statistics.median(self.ratios), at_least(self.row.ratio)),
            ("files/s", self.rate, at_least(self.row.rate)),
            ("growth", self.growth, GROWN),
            ("public", self.peer_ratio, at_least(self.row.peer_ratio)),
        ]
        return [
            name
            for name, value, target in judged
            if value is not None and target is not None and not target.reached_by(value)
        ]


def measure(made: Setting, row: Row, rounds: int, peer: Program | None) -> Result:
    """Measure one row: yardstick, ours, and the public program in turn.

    With small files, of which ours does a hundred times as many in the same time, the public
    program is measured once, on fewer of them.
    """
    tree = made.tree(row.tree)
    result = Result(row, len(tree[1]))
    compared = peer if row.peer_ratio is not None else None
    for number in range(rounds):
        _measure_ours(made, result, tree)
        if compared and (row.tree == "large" or number == 0):
            _measure_peer(made, result, made.few if row.tree == "small" else tree, compared)
    return result


def _measure_ours(made: Setting, result: Result, tree: Tree) -> None:
    """Measure ours right after its yardstick; once it has failed, not any more."""
    row = result.row
    if result.failure:
        return
    try:
        with made.place() as directory:
            yardstick = row.yardstick(made, tree, directory)
            ours = row.work(made, OURS, tree, directory)
        if row.grows:
            with made.place() as directory, made.holding(GROWTH * result.files):
                result.grown.append(row.work(made, OURS, tree, directory))
    except RuntimeError as error:
        result.failure = last_line(error)
    else:
        result.yardstick.append(yardstick)
        result.ours.append(ours)


def _measure_peer(made: Setting, result: Result, tree: Tree, peer: Program) -> None:
    if result.peer_failure:
        return
    try:
        with made.place() as directory:
            took = result.row.work(made, peer, tree, directory)
    except RuntimeError as error:
        result.peer_failure = last_line(error)
    else:
        result.peer_rates.append(len(tree[1]) / took.seconds)


def last_line(error: Exception) -> str:
    """What a daemon or a command said at its end."""
    return (str(error).strip().splitlines() or [repr(error)])[-1]


ROWS: Sequence[Row] = (
    Row("import small, path only", import_by_path, md5sum, "find … md5sum", 0.06,
        rate=3000, peer_ratio=40, grows=True),
    Row("import small, pattern_importer", import_by_pattern, md5sum, "find … md5sum", None,
        rate=1500),
    Row("import large", import_by_path, md5sum_two, "md5sum, two at a time", 0.9, "large",
        peer_ratio=1),
    Row("pull small over ssh", pull_by_ssh, rsync, "rsync -a -e ssh", 0.5, peer_ratio=150,
        grows=True),
    Row("pull large over ssh", pull_by_ssh, rsync_and_md5sum, "rsync -a -e ssh, md5sum", 1.0,
        "large", peer_ratio=1),
    Row("pull small locally", pull_locally, link, "cp -al", 0.2, peer_ratio=40, grows=True),
    Row("check small and large", check, md5sum, "md5sum", 0.8, "mixed"),
    Row("check small", check, md5sum, "md5sum", None, peer_ratio=20, grows=True),
    Row("check large", check, md5sum, "md5sum", None, "large", peer_ratio=1),
    Row("delete small", delete, rm, "rm -r", 0.1, rate=3000, peer_ratio=20, grows=True),
)  # fmt: skip
