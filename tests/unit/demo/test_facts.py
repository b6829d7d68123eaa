"""A node holds what the script says: in the index, on the disk, byte for byte, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.demo import facts
from alpenhorn.demo.site import Site
from alpenhorn.demo.steps import Holds

pytestmark = pytest.mark.sqlite  # its configuration names an SQLite file

PATH = "2025/02/21/meta.txt"


@pytest.fixture
def site(tmp_path: Path, make: Any) -> Site:
    """A site whose first node has one file, recorded as present."""
    site = Site(tmp_path)
    root = site.root("demo_storage1")
    (root / PATH).parent.mkdir(parents=True)
    (root / "ALPENHORN_NODE").write_text("demo_storage1\n")
    (root / PATH).write_text("good")
    make.file(PATH, size_b=4, md5sum=hashlib.md5(b"good").hexdigest())
    make.copy(PATH, make.node("demo_storage1"))
    return site


def differs(site: Site, *files: str, **others: tuple[str, ...]) -> tuple[str, str] | None:
    return facts.difference(site, Holds("demo_storage1", files, **others))


def test_all_is_well(site: Site) -> None:
    assert differs(site, PATH) is None


def test_a_file_that_the_script_does_not_expect(site: Site) -> None:
    assert differs(site) == (
        "nothing healthy on demo_storage1 in the Data Index",
        f"{PATH} healthy",
    )


def test_an_index_that_does_not_know_the_node(site: Site) -> None:
    found = facts.difference(site, Holds("demo_storage2"))
    assert found and found[0] == "a storage node demo_storage2"


def test_other_bytes_of_the_same_length(site: Site) -> None:
    (site.root("demo_storage1") / PATH).write_text("evil")
    found = differs(site, PATH)
    assert found and "MD5" in found[0]
    assert differs(site, spoiled=(PATH,)) is None


def test_a_file_that_is_gone(site: Site) -> None:
    (site.root("demo_storage1") / PATH).unlink()
    found = differs(site, PATH)
    assert found and PATH not in found[1]


@pytest.mark.parametrize("stray", ["2025/02/21/.meta.txt.lock", "2025/03/", "left over"])
def test_something_that_was_left_behind(site: Site, stray: str) -> None:
    place = site.root("demo_storage1") / stray
    if stray.endswith("/"):
        place.mkdir()
    else:
        place.touch()
    found = differs(site, PATH)
    assert found and stray in found[1] and stray not in found[0]


def test_files_that_the_index_need_not_know(site: Site) -> None:
    (site.root("demo_storage1") / "2025/02/21/new.dat").touch()
    assert differs(site, PATH, unknown=("2025/02/21/new.dat",)) is None


def test_a_copy_known_to_be_corrupt(site: Site) -> None:
    db.ArchiveFileCopy.update(has_file="X").execute()
    assert differs(site, PATH) is not None
    assert differs(site, corrupt=(PATH,)) is None


def test_a_node_file_that_was_removed(site: Site) -> None:
    (site.root("demo_storage1") / "ALPENHORN_NODE").unlink()
    found = differs(site, PATH)
    assert found and "ALPENHORN_NODE" in found[0]


def test_the_demo_itself_cannot_write_to_the_index(site: Site) -> None:
    facts.open_index(site)
    assert facts.length(PATH) == 4
    with pytest.raises(pw.OperationalError, match="readonly"):
        db.ArchiveAcq.create(name="x")
    db.close()
