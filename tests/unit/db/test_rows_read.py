"""Growth: what a batch reads in the index does not depend on what it holds already (P1, W-21)."""

from __future__ import annotations

import pytest
from tests.unit.db.test_statements import CHANGES, LINEAR, QUESTIONS, Site

from alpenhorn import db
from alpenhorn.common.units import utcnow
from alpenhorn.db import operations

pytestmark = pytest.mark.slow  # a site with thousands of rows

COUNT = 210
"""Files of a batch: more than the 200 up to which MariaDB looks up every single one by itself."""
OLDER, MORE = 100, 3000
EVERY_COPY = {"total", "stale"}
"""What is about all copies of a node, and does read them, or as many as are asked for."""


@pytest.fixture
def reading(make):
    """Tell how much the database reads for an action, whose changes are then undone."""
    database = db.database_proxy.obj
    if "Sqlite" in type(database).__name__:
        steps = [0]

        def count():
            steps[0] += 1

        def seen():
            database.connection().set_progress_handler(count, 10)
            return steps[0]

    elif "MySQL" in type(database).__name__:

        def seen():
            rows = database.execute_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").fetchall()
            return sum(int(value) for _, value in rows)

    else:
        pytest.skip("PostgreSQL does not tell what one session reads")

    def read(action, site):
        with database.atomic() as undone:
            before = seen()
            action(site)
            result = seen() - before
            undone.rollback()
        return result

    yield read
    if "Sqlite" in type(database).__name__:
        database.connection().set_progress_handler(None, 0)


def fill(site, name, count):
    """Add files that have been there for long: copied, verified, and removed where they were."""
    acq = db.ArchiveAcq.create(name=name)
    db.ArchiveFile.insert_many(
        {"acq": acq.id, "name": str(n), "size_b": 4, "md5sum": "0" * 32} for n in range(count)
    ).execute()
    files = [row.id for row in db.ArchiveFile.select().where(db.ArchiveFile.acq == acq)]
    nodes = [site.source, site.dest, *site.archives, site.loaded]
    for node in nodes:
        has_file = "N" if node == site.loaded else "Y"
        rows = [{"file": f, "node": node.id, "has_file": has_file, "ready": True} for f in files]
        db.ArchiveFileCopy.insert_many(rows).execute()
        operations.Verification.insert_many(
            {"file_id": f, "node_id": node.id, "verified": utcnow()} for f in files
        ).execute()
    copies = db.ArchiveFileCopy.select().where(db.ArchiveFileCopy.node == site.loaded)
    operations.DeletionEvidence.insert_many(
        {"copy_id": copy.id, "file_id": copy.file_id, "node_id": site.loaded.id,
         "protected_by": "[]", "removed": utcnow()}
        for copy in copies.where(db.ArchiveFileCopy.has_file == "N")
    ).execute()  # fmt: skip
    for source, group in [(site.source, site.dest.group), (site.loaded, site.source.group)]:
        rows = [{"file": f, "node_from": source.id, "group_to": group.id, "completed": True}
                for f in files]  # fmt: skip
        db.ArchiveFileCopyRequest.insert_many(rows).execute()


def test_a_batch_reads_as_much_in_a_small_index_as_in_a_large_one(make, reading):
    actions = {**QUESTIONS, **CHANGES, **LINEAR}
    site = Site(make, COUNT)
    fill(site, "old", OLDER)
    small = {name: reading(action, site) for name, action in actions.items()}
    fill(site, "older", MORE)
    large = {name: reading(action, site) for name, action in actions.items()}
    grown = {name: (small[name], large[name]) for name in actions
             if large[name] > 1.2 * small[name] + 500}  # fmt: skip
    assert grown.keys() <= EVERY_COPY, "\n".join(map(str, grown.items()))
