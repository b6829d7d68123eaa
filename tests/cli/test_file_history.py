"""``alpenhorn file history``: what happened to a file, oldest first."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common import actor
from alpenhorn.db.operations import DeletionEvidence
from alpenhorn.db.queries import deletion, imports, transfers
from alpenhorn.db.queries.copy_edits import request_copy, set_wants


@pytest.fixture
def life(make: Any) -> Any:
    """A file that was imported, copied to two archives, released at its origin and deleted."""
    field = make.node("field")
    archives = [make.node(f"arc{n}", storage_type="A", host=f"host{n}") for n in range(2)]
    imports.register(field, [imports.Found("a", "f", 4, "0" * 32, 512)], create=True)
    file = db.ArchiveFile.get()
    for archive in archives:
        request_copy(file, field, archive.group, force=False)
    first, second = db.ArchiveFileCopyRequest.select().order_by(db.ArchiveFileCopyRequest.id)
    transfers.record_attempts([transfers.Attempt(first.id, "route", "refused", None, 1.0)])
    for request, archive in ((first, archives[0]), (second, archives[1])):
        transfers.finish(archive, [transfers.Arrived(request.id, file.id, 512, 1.0, 2.0)])
        transfers.record_attempts([transfers.Attempt(request.id, None, "", 4, 1.0)])
    set_wants(file, field, db.WantsFile.RELEASED)
    copy = db.ArchiveFileCopy.get(node=field)
    assert deletion.claim(field.id, [copy.id], {}).taken
    deletion.removed([copy.id])
    return file


def test_everything_is_told_oldest_first(life: Any, run: Any) -> None:
    events = run("file", "history", "a/f", "--json").json["events"]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    words = [event["event"] for event in events]
    assert words[0] == "registered"
    for before, after in [
        ("imported", "requested"),
        ("requested", "transfer"),
        ("transfer", "released"),
        ("released", "claimed"),
        ("claimed", "removed"),
    ]:
        assert words.index(before) < words.index(after), words


def test_each_attempt_has_its_route_outcome_and_class(life: Any, run: Any) -> None:
    events = run("file", "history", "a/f", "--json").json["events"]
    attempts = [
        (e["node"], e["group"], e["outcome"], e["failure"], e["message"])
        for e in events
        if e["event"] == "transfer"
    ]
    assert attempts == [
        ("field", "arc0", "failed", "route", "refused"),
        ("field", "arc0", "done", None, None),
        ("field", "arc1", "done", None, None),
    ]


def test_a_deletion_has_its_evidence(life: Any, run: Any) -> None:
    """Who released the copy and when; on which copies the deletion relied, verified when."""
    events = run("file", "history", "a/f", "--json").json["events"]
    (claim,) = [event for event in events if event["event"] == "claimed"]
    (release,) = [event for event in events if event["event"] == "released"]
    assert (claim["node"], claim["by"], claim["released"]) == ("field", actor.me(), release["time"])
    assert [copy["node"] for copy in claim["copies"]] == ["arc0", "arc1"]
    assert all(copy["verified"] for copy in claim["copies"])


def test_the_copies_now(life: Any, run: Any) -> None:
    copies = run("file", "history", "a/f", "--json").json["copies"]
    assert [(c["node"], c["state"]) for c in copies] == [
        ("field", "Removed"),
        ("arc0", "Healthy"),
        ("arc1", "Healthy"),
    ]
    assert [bool(copy["verified"]) for copy in copies] == [False, True, True]
    assert [copy["added_by"] for copy in copies] == ["import", "pull", "pull"]


def test_as_text(life: Any, run: Any) -> None:
    result = run("file", "history", "a/f")
    assert (result.code, result.stderr) == (0, "")
    text = result.stdout
    assert text.startswith("History of a/f\n\nTime ")
    assert "field -> arc0  failed (route); refused" in text
    assert "relying on arc0 (verified " in text
    assert f"released by {actor.me()} at " in text
    assert "Copies now:" in text


def test_a_deletion_of_an_older_version_is_shown_without_what_it_did_not_keep(
    life: Any, run: Any
) -> None:
    evidence = DeletionEvidence
    kept = '[{"copy": 1, "node": "arc0", "last_update": "2025-01-01"}, 7]'
    evidence.update(released=None, released_by=None, protected_by=kept).execute()
    text = run("file", "history", "a/f").stdout
    assert "relying on arc0 (verification not on record)" in text
    assert "released by somebody unknown" in text
    evidence.update(protected_by="{nonsense").execute()
    assert "relying on no other copy" in run("file", "history", "a/f").stdout


def test_without_our_tables_what_version_2_keeps_is_shown(life: Any, run: Any) -> None:
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    result = run("file", "history", "a/f", "--json")
    assert {event["event"] for event in result.json["events"]} == {"registered", "requested"}
    assert len(result.json["copies"]) == 3


def test_a_file_without_copies(make: Any, run: Any) -> None:
    make.file("a/f")
    assert run("file", "history", "a/f").stdout.endswith("No copies\n")


def test_names_cannot_forge_lines(make: Any, run: Any) -> None:
    make.copy("a/f\nRemoved", make.node("n\x1b[2J"))
    assert "\x1b" not in run("file", "history", "a/f\nRemoved").stdout


def test_nothing_is_written(life: Any, run: Any, dump: Any) -> None:
    tables = dump()
    run("file", "history", "a/f")
    assert dump() == tables


def test_an_unknown_file(make: Any, run: Any) -> None:
    make.file("a/f")
    result = run("file", "history", "a/g")
    assert (result.stdout, result.code) == ("", 1)
    assert "No such file" in result.stderr
