"""Plans: what is counted is what is changed, at the moment of the change."""

from __future__ import annotations

from typing import Any

import peewee as pw
import pytest

from alpenhorn.db import ArchiveFileCopy, ArchiveFileCopyRequest, HasFile, WantsFile, database_proxy
from alpenhorn.db.queries.clean import CleanScope
from alpenhorn.db.queries.filters import FileFilter, select_files
from alpenhorn.services.clean import plan_clean
from alpenhorn.services.sync import plan_cancel, plan_sync
from alpenhorn.services.verify import plan_cancel as plan_cancel_verify
from alpenhorn.services.verify import plan_verify

ANY = FileFilter()


def test_planning_changes_nothing(make: Any) -> None:
    node, group = make.node("n"), make.group("g")
    make.copy("a/f", node)
    assert plan_sync(node, group, ANY).count == 1
    assert plan_verify(node, ["healthy"], ANY).count == 1
    assert plan_clean(CleanScope(node.id, WantsFile.RELEASED, ANY)).count == 1
    assert ArchiveFileCopyRequest.select().count() == 0
    assert make.states(node) == {"a/f": "YY"}


def test_sync_applies_to_what_is_true_then(make: Any) -> None:
    node, dest = make.node("n"), make.node("d", group="g")
    make.copy("a/1", node)
    make.copy("a/2", node)
    plan = plan_sync(node, dest.group, ANY)
    assert (plan.count, plan.size_b) == (2, 8)
    make.copy("a/1", dest)
    make.copy("a/3", node)
    assert plan.apply() == 2
    names = [row.file.name for row in ArchiveFileCopyRequest.select()]
    assert names == ["2", "3"]


def test_a_second_apply_adds_no_duplicates(make: Any) -> None:
    node, group = make.node("n"), make.group("g")
    make.copy("a/1", node)
    plan = plan_sync(node, group, ANY)
    assert [plan.apply(), plan.apply()] == [1, 0]


def test_cancel_applies_to_what_is_pending_then(make: Any) -> None:
    node = make.node("n")
    kept = make.request("a/1", node, "g")
    make.request("a/2", node, "g")
    plan = plan_cancel(node, None, ANY)
    assert plan.count == 2
    ArchiveFileCopyRequest.update(completed=True).where(
        ArchiveFileCopyRequest.id == kept.id
    ).execute()
    assert plan.apply() == 1
    assert not ArchiveFileCopyRequest.get_by_id(kept.id).cancelled


def test_verify_does_not_touch_what_was_released_meanwhile(make: Any) -> None:
    node = make.node("n")
    copy = make.copy("a/1", node, "X")
    plan = plan_verify(node, ["corrupt"], ANY)
    ArchiveFileCopy.update(wants_file="N").where(ArchiveFileCopy.id == copy.id).execute()
    assert (plan.count, plan.apply()) == (1, 0)


def test_forcing_a_state_leaves_a_finished_check_alone(make: Any) -> None:
    node = make.node("n")
    copy = make.copy("a/1", node, "M")
    plan = plan_cancel_verify(node, HasFile.CORRUPT, ANY)
    ArchiveFileCopy.update(has_file="Y").where(ArchiveFileCopy.id == copy.id).execute()
    assert (plan.count, plan.apply()) == (1, 0)
    assert make.states(node) == {"a/1": "YY"}


def test_limits_hold_together(make: Any) -> None:
    node, target = make.node("n"), make.node("t")
    for path in ("a/1", "a/2", "b/1", "b/2"):
        make.copy(path, node)
    listed = [make.file("a/1").id, make.file("b/1").id]
    make.copy("a/1", target)
    make.copy("b/1", target)
    select_files([*listed, *listed])
    files = FileFilter(
        acq_ids=(make.file("a/1").acq_id,), listed=True, healthy_in_all=(target.group_id,)
    )
    assert plan_clean(CleanScope(node.id, WantsFile.REMOVABLE, files)).apply() == 1
    assert make.states(node) == {"a/1": "YM", "a/2": "YY", "b/1": "YY", "b/2": "YY"}
    none = FileFilter(listed=True, healthy_in_none=(target.group_id,))
    assert plan_verify(node, ["healthy"], none).count == 0


def _statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    cls = type(database_proxy.obj)
    execute = cls.execute_sql

    def recorded(self: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(sql)
        return execute(self, sql, *args, **kwargs)

    monkeypatch.setattr(cls, "execute_sql", recorded)
    return seen


def test_bulk_work_is_a_handful_of_statements(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """5,000 files cost as many statements as five (design P1)."""
    node, group = make.node("n"), make.group("g")
    files = make.files("a", map(str, range(5000)), size_b=1)
    ArchiveFileCopy.insert_many(
        [{"file": file, "node": node, "has_file": "Y"} for file in files]
    ).execute()
    if isinstance(database_proxy.obj, pw.PostgresqlDatabase):
        # A server in use does so by itself; tables without statistics are taken for tiny ones.
        database_proxy.execute_sql("ANALYZE")
    seen = _statements(monkeypatch)
    assert plan_sync(node, group, ANY).apply() == 5000
    assert plan_verify(node, ["healthy"], ANY).apply() == 5000
    assert plan_cancel_verify(node, HasFile.PRESENT, ANY).apply() == 5000
    assert plan_clean(CleanScope(node.id, WantsFile.RELEASED, ANY, limit_b=4000)).apply() == 4000
    assert plan_cancel(node, group, ANY).apply() == 5000
    assert len(seen) < 60
