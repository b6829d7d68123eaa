"""Work in bulk: the number of statements does not grow with the number of files (W-21, P1)."""

from __future__ import annotations

import pytest

from alpenhorn import db
from alpenhorn.db import connection
from alpenhorn.db.queries import (
    autoactions,
    checks,
    deletion,
    doorbell,
    imports,
    nodes,
    pending,
    standstill,
    transfers,
)

pytestmark = pytest.mark.slow  # each makes two sites with all kinds of rows

FEW, MANY = 3, 20

CLEARED = (
    db.StorageTransferAction,
    db.ArchiveFileCopyRequest,
    db.ArchiveFileCopy,
    db.StorageNode,
    db.StorageGroup,
    db.ArchiveFile,
    db.ArchiveAcq,
)


class Site:
    """A site with many rows of each kind that a pass looks at."""

    def __init__(self, make, count):
        self.source = make.node("source", min_avail_gb=2, avail_gb=1)
        self.dest = make.node("dest", group="target", storage_type="A")
        self.archives = [make.node(f"arc{n}", storage_type="A") for n in range(2)]
        self.loaded = make.node("loaded")
        for group in (self.dest.group, self.archives[0].group):
            db.StorageTransferAction.create(
                node_from=self.source, group_to=group, autosync=True, autoclean=True
            )
        names = [f"a{n % 2}/{n}" for n in range(count)]
        self.sources = [make.copy(name, self.source) for name in names]
        self.requests = [make.request(name, self.source, "target") for name in names]
        for archive in self.archives:
            for name in names:
                make.copy(name, archive)
        self.released = [make.copy(name, self.loaded, "Y", "N") for name in names]
        self.files = [copy.file_id for copy in self.released]
        self.found = [imports.Found(f"new{n % 2}", str(n), 4, "0" * 32, 512) for n in range(count)]
        self.arrived = [transfers.Arrived(r.id, r.file_id, 512, 1.0, 2.0) for r in self.requests]
        doorbell.ring(["here"])  # the first ring costs more than the others

    def make_suspect(self):
        self._set_sources("M")

    def drop_sources(self):
        self._set_sources("N")

    def _set_sources(self, has_file):
        db.ArchiveFileCopy.update(has_file=has_file).where(
            db.ArchiveFileCopy.id << [copy.id for copy in self.sources]
        ).execute()

    def satisfy(self):
        rows = [{"file": file_id, "node": self.dest.id, "has_file": "Y"} for file_id in self.files]
        db.ArchiveFileCopy.insert_many(rows).execute()

    def autoact(self):
        with connection.change():
            autoactions.apply(self.source, self.files)


def claim(site):
    return deletion.claim(site.loaded.id, [copy.id for copy in site.released], {}).taken


QUESTIONS = {
    "active nodes": lambda s: nodes.active_on("here"),
    "pending imports": lambda s: imports.pending(s.source, 1000),
    "tracked names": lambda s: imports.tracked_names(s.source, "a0"),
    "ready": lambda s: [(r.file.path, r.node_from.name) for r in
                        pending.ready(s.dest.group, 1000)],
    "blocked": lambda s: pending.blocked(s.dest.group),
    "sources": lambda s: standstill.sources(s.dest.group),
    "signs": lambda s: standstill.signs(s.dest.group, [s.source.id]),
    "count_pending": lambda s: standstill.count_pending(s.dest.group),
    "to make ready": lambda s: [r.file.path for r in pending.to_make_ready(s.source, 1000)],
    "corrupt": lambda s: transfers.corrupt_on(s.dest, s.files),
    "deletable": lambda s: [c.file.path for c in deletion.deletable(s.loaded, 1000)],
    "waiting": lambda s: deletion.waiting(s.source, 10),
    "suspect": lambda s: [c.file.path for c in checks.suspect(s.source, 1000)],
    "total": lambda s: s.source.get_total_gb(),
}  # fmt: skip

CHANGES = {
    "auto-actions": Site.autoact,
    "claim": claim,
    "removed": lambda s: deletion.removed([copy.id for copy in s.released]),
    "stale": lambda s: checks.stale(s.source, 0, 1000, -1),
    "attempts": lambda s: transfers.record_attempts(
        [transfers.Attempt(r.id, None, "", 4, 1.0) for r in s.requests]
    ),
}

LINEAR = {
    "import": lambda s: imports.register(s.source, s.found, create=True),
    "finish": lambda s: transfers.finish(s.dest, s.arrived),
    "check": lambda s: (s.make_suspect(), checks.record(
        s.source, [checks.Verdict(c.id, db.HasFile.PRESENT, 512) for c in s.sources])),
    "give back": lambda s: deletion.give_back(claim(s)),
    "close satisfied": lambda s: (s.satisfy(), pending.close_satisfied(s.dest.group, 1000)),
    "close hopeless": lambda s: (s.drop_sources(), pending.close_hopeless(s.dest.group, 1000)),
    "cancel": lambda s: pending.cancel([r.id for r in s.requests]),
    "suspect sources": lambda s: transfers.suspect_sources(s.requests),
    "ask for check": lambda s: checks.ask_for_check(s.dest, [(f, 512) for f in s.files]),
}  # fmt: skip


def cost(make, statements, action, count):
    """The statements that `action` needs at a site of this size."""
    site = Site(make, count)
    with statements() as seen:
        action(site)
    for model in CLEARED:
        model.delete().execute()
    return seen


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_of_a_pass_costs_the_same_for_any_number_of_files(make, statements, name):
    few = cost(make, statements, QUESTIONS[name], FEW)
    many = cost(make, statements, QUESTIONS[name], MANY)
    assert len(few) == len(many) <= 3
    assert many.writes == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_costs_the_same_for_any_number_of_files(make, statements, name):
    few = cost(make, statements, CHANGES[name], FEW)
    many = cost(make, statements, CHANGES[name], MANY)
    assert len(few) == len(many)
    assert many.writes


@pytest.mark.parametrize("name", LINEAR)
def test_these_changes_should_cost_the_same_for_any_number_of_files(make, statements, name):
    few = cost(make, statements, LINEAR[name], FEW)
    many = cost(make, statements, LINEAR[name], MANY)
    assert len(few) == len(many)


@pytest.mark.parametrize("name", LINEAR)
def test_these_changes_cost_at_most_three_statements_per_file(make, statements, name):
    few = cost(make, statements, LINEAR[name], FEW)
    many = cost(make, statements, LINEAR[name], MANY)
    assert len(many) - len(few) <= 3 * (MANY - FEW)


@pytest.mark.sqlite
def test_a_pass_of_an_idle_node_does_not_read_the_history(make):
    """Each question of a pass uses an index that fits (W-20)."""
    node = make.node("n")
    for query, index in [
        (f"SELECT id FROM archivefilecopyrequest WHERE group_to_id = {node.group_id} "
         "AND completed = 0 AND cancelled = 0", "group_to_id_completed_cancelled"),
        (f"SELECT id FROM archivefilecopyrequest WHERE node_from_id = {node.id} "
         "AND completed = 0 AND cancelled = 0", "node_from_id_completed_cancelled"),
        (f"SELECT id FROM archivefileimportrequest WHERE node_id = {node.id} "
         "AND completed = 0", "node_id_completed"),
        (f"SELECT id FROM archivefilecopy WHERE node_id = {node.id} "
         "AND has_file = 'M' AND wants_file = 'Y'", "node_id_has_file_wants_file"),
        ("SELECT id FROM storagenode WHERE host = 'h' AND active = 1", "host_active"),
    ]:  # fmt: skip
        plan = db.database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {query}").fetchall()
        assert index in plan[0][3]


@pytest.mark.sqlite
def test_a_copy_is_not_looked_for_among_all_requests_that_its_node_ever_had(make, statements):
    """Without statistics, SQLite did: deleting after a large transfer took the square of it."""
    site = Site(make, FEW)
    with statements() as seen:
        copies = [copy.id for copy in deletion.deletable(site.loaded, 10)]
        deletion.claim(site.loaded.id, copies, {})
    plans = [plan for sql in seen if "archivefilecopyrequest" in sql for plan in _plan(sql)]
    searches = [plan for plan in plans if "archivefilecopyrequest_" in plan]
    assert searches
    assert [plan for plan in searches if "archivefilecopyrequest_file_id" not in plan] == []


@pytest.mark.sqlite
@pytest.mark.parametrize("question", ["deletable", "suspect"])
def test_a_few_copies_are_not_looked_for_among_all_of_the_node(make, statements, question):
    site = Site(make, FEW)
    with statements() as seen:
        QUESTIONS[question](site)
    (sql,) = [sql for sql in seen if '"archiveacq"' in sql]
    assert "node_id_has_file_wants_file" in _plan(sql)[0]


def _plan(sql):
    nothing = [None] * sql.count("?")
    rows = db.database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {sql}", nothing).fetchall()
    return [row[3] for row in rows]
