"""Following work: when it has ended, and what counts as part of it."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import ArchiveFileCopy, ArchiveFileCopyRequest, DataIndexVersion, HasFile
from alpenhorn.db.operations import OPERATIONS_TABLES, TransferAttempt
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries import waiting as queries
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.services import waiting_work as work
from alpenhorn.services.waiting import Outcome, Progress, Stuck, Tally, watch

ANY = FileFilter()
Request = ArchiveFileCopyRequest


class Script:
    """Work whose looks are written down; the last one is repeated."""

    def __init__(self, *looks: Tally, stuck: tuple[Stuck, ...] = ()) -> None:
        self.looks = list(looks)
        self.reasons = list(stuck)
        self.began = False

    def begin(self) -> None:
        self.began = True

    def tally(self) -> Tally:
        assert self.began
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def stuck(self, pending: int) -> list[Stuck]:
        assert pending
        return self.reasons


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def outcomes(script: Script, timeout_s: float | None = None) -> list[Outcome | None]:
    time = Time()
    seen = watch(script, timeout_s, lambda: time.now, time.pause)
    return [progress.outcome for progress in seen]


WAITING = Tally(pending=(2, 8))


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (Tally(done=(2, 8)), Outcome.DONE),
        (Tally(done=(1, 4), failed=(1, 4)), Outcome.FAILED),
        (Tally(), Outcome.DONE),
    ],
)
def test_it_ends_when_nothing_is_pending(end: Tally, outcome: Outcome) -> None:
    assert outcomes(Script(WAITING, WAITING, end)) == [None, None, outcome]


@pytest.mark.parametrize(("timeout_s", "looks"), [(0, 1), (0.5, 2), (1, 2), (2.5, 4)])
def test_it_gives_up_at_the_timeout(timeout_s: float, looks: int) -> None:
    assert outcomes(Script(WAITING), timeout_s) == [None] * (looks - 1) + [Outcome.TIMED_OUT]


def test_what_ends_at_the_timeout_has_not_timed_out() -> None:
    assert outcomes(Script(WAITING, Tally(done=(2, 8))), 1) == [None, Outcome.DONE]


def test_it_ends_when_all_that_is_left_is_refused() -> None:
    refused = Stuck("refused", 2, final=True)
    assert outcomes(Script(WAITING, stuck=(refused,))) == [Outcome.FAILED]


def test_it_goes_on_while_something_else_may_move() -> None:
    refused = Stuck("refused", 1, final=True)
    script = Script(WAITING, stuck=(refused, Stuck("no daemon", 2)))
    assert outcomes(script, 1) == [None, Outcome.TIMED_OUT]


def test_rates() -> None:
    progress = Progress(Tally(done=(4, 100)), 8.0)
    assert (progress.files_per_second, progress.bytes_per_second) == (0.5, 12.5)
    assert Progress(Tally(done=(4, 100)), 0.0).bytes_per_second == 0


def test_an_earlier_cancelled_request_of_an_arriving_file_counts_for_nothing(make: Any) -> None:
    """Pending before: a/1. Cancelled before: a/2, which is asked for again and arrives."""
    source, dest = make.node("src"), make.node("dst", group="g")
    old = make.request("a/1", source, "g")
    make.request("a/2", source, "g", cancelled=True)
    copies = work.copies(source, dest.group, ANY)
    new = make.request("a/2", source, "g")
    copies.begin()
    assert copies.tally() == Tally(pending=(2, 8), total=2, failed_as="cancelled")
    make.copy("a/2", dest)
    Request.update(completed=True).where(Request.id == new.id).execute()
    assert copies.tally().done == (1, 4)
    assert copies.tally().total == 2
    Request.update(cancelled=True).where(Request.id == old.id).execute()
    assert copies.tally() == Tally((1, 4), (1, 4), (0, 0), 2, "cancelled")


def test_requests_on_other_routes_are_not_counted(make: Any) -> None:
    source, other, dest = make.node("src"), make.node("other"), make.node("dst", group="g")
    copies = work.copies(source, dest.group, ANY)
    make.request("a/1", source, "g")
    make.request("a/1", other, "g")
    make.request("a/1", source, "elsewhere")
    copies.begin()
    assert copies.tally().total == 1


def test_limits_on_files_hold(make: Any) -> None:
    source, dest = make.node("src"), make.node("dst", group="g")
    acq = make.file("a/1").acq
    copies = work.copies(source, dest.group, FileFilter(acq_ids=(acq.id,)))
    make.request("a/1", source, "g")
    make.request("b/1", source, "g")
    copies.begin()
    assert copies.tally().total == 1


def test_copies_that_were_bad_before_are_not_found_bad(make: Any) -> None:
    node = make.node("n")
    make.copy("a/bad", node, "X")
    make.copy("a/missing", node, "N")
    copy = make.copy("a/good", node)
    checks = work.checks(node, ANY, [HasFile.PRESENT])
    assert _after(checks, copy, "M") == Tally((0, 0), (0, 0), (1, 4), 1, "corrupt or missing")
    assert _after(checks, copy, "Y") == Tally((1, 4), (0, 0), (0, 0), 1, "corrupt or missing")
    assert _after(checks, copy, "X") == Tally((0, 0), (1, 4), (0, 0), 1, "corrupt or missing")


def _after(checks: work.Work, copy: ArchiveFileCopy, has: str) -> Tally:
    ArchiveFileCopy.update(has_file=has).where(ArchiveFileCopy.id == copy.id).execute()
    return checks.tally()


def test_what_the_daemon_found_before_the_first_look_counts(make: Any) -> None:
    """However quick the check was: the state of things is remembered before it is asked for."""
    node = make.node("n")
    copy = make.copy("a/good", node)
    checks = work.checks(node, ANY, [HasFile.PRESENT])
    _after(checks, copy, "X")
    checks.begin()
    assert checks.tally().failed == (1, 4)


def test_copies_removed_before_do_not_count(make: Any) -> None:
    node = make.node("n")
    make.copy("a/gone", node, "N", "N")
    copy = make.copy("a/going", node, "Y", "Y")
    removal = work.removals(node, ANY)
    ArchiveFileCopy.update(wants_file="N").where(ArchiveFileCopy.id == copy.id).execute()
    removal.begin()
    assert (removal.tally().pending, removal.tally().total) == ((1, 4), 1)
    assert _after(removal, copy, "N").done == (1, 4)


def test_the_most_frequent_reasons_come_first_and_are_few(make: Any) -> None:
    """However many messages there are: each may name its file."""
    source, dest = make.node("src"), make.node("dst", group="g")
    for number in range(20):
        make.copy(f"a/{number}", source)
        request = make.request(f"a/{number}", source, "g")
        text = "the same" if number < 3 else f"about {number}"
        TransferAttempt.create(request_id=request.id, failure="source", message=text)
    route = queries.Route(source.id, dest.group.id, queries.Files())
    reasons = route.reasons(1, 20)
    assert (reasons[0].message, reasons[0].count) == ("the same", 3)
    assert len(reasons) == 8


def test_an_index_without_our_own_tables_gives_fewer_reasons(
    make: Any, index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an older alpenhorn: nobody can tell which daemons are alive."""
    index.drop_tables(OPERATIONS_TABLES)
    DataIndexVersion.delete().where(DataIndexVersion.component == "operations").execute()
    monkeypatch.setattr(doorbell, "_available", (None, False))
    source, dest = make.node("src"), make.node("dst", group="g")
    make.copy("a/1", source, "M")
    copies = work.copies(source, dest.group, ANY)
    make.request("a/1", source, "g")
    copies.begin()
    assert [reason.count for reason in copies.stuck(1)] == [1]
    assert "source copy is suspect" in copies.stuck(1)[0].reason
