"""From names that people type to records."""

from __future__ import annotations

import time
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db import database_proxy
from alpenhorn.errors import InvalidName, NotFound
from alpenhorn.services import lookup


def test_the_longest_acquisition_name_wins(make: Any) -> None:
    deep = make.file("2025/02/21/23/1324.dat")
    acq, _ = db.ArchiveAcq.get_or_create(name="2025/02/21")
    shallow = db.ArchiveFile.create(acq=acq, name="23/1324.dat")
    only_shallow = db.ArchiveFile.create(acq=acq, name="23/1330.dat")
    assert lookup.resolve_files(["2025/02/21/23/1324.dat", "2025/02/21/23/1330.dat"]) == {
        "2025/02/21/23/1324.dat": deep.id,
        "2025/02/21/23/1330.dat": only_shallow.id,
    }
    deep.delete_instance()
    assert lookup.file("2025/02/21/23/1324.dat").id == shallow.id


@pytest.mark.parametrize("path", ["a//b/f", "./a/b/f", "a/b/f/", "a/./b/f", "a/b//./f/."])
def test_paths_are_normalised(make: Any, path: str) -> None:
    file = make.file("a/b/f")
    assert lookup.resolve_files([path]) == {path: file.id}
    assert str(lookup.file(path).path) == "a/b/f"


@pytest.mark.parametrize(
    "path", ["f", "", ".", "/", "/a/b/f", "a/x/../b/f", "a/b", "a/b/F", "a\0/f", "a/b/\udcff"]
)
def test_what_never_matches(make: Any, path: str) -> None:
    make.file("a/b/f")
    assert lookup.resolve_files([path]) == {}
    with pytest.raises(NotFound, match="No such file"):
        lookup.file(path)


def test_names_that_are_shared_between_acquisitions(make: Any) -> None:
    """Many acquisitions with the same file names: only the pairs asked for are found."""
    ids = {f"acq{n}/{m}": make.file(f"acq{n}/{m}").id for n in range(30) for m in range(5)}
    asked = [f"acq{n}/{n % 5}" for n in range(30)]
    assert lookup.resolve_files(asked) == {path: ids[path] for path in asked}


@pytest.mark.slow
def test_a_long_list_takes_seconds(index: Any) -> None:
    """20,000 paths in 200 acquisitions: well below a millisecond each."""
    with database_proxy.atomic():
        db.ArchiveAcq.insert_many([{"name": f"2025/{n}"} for n in range(200)]).execute()
        for acq in db.ArchiveAcq.select():
            rows = [{"acq": acq, "name": f"x/{n}", "md5sum": "0" * 32} for n in range(100)]
            db.ArchiveFile.insert_many(rows).execute()
    paths = [f"2025/{n}/x/{m}" for n in range(200) for m in range(100)]
    began = time.perf_counter()
    found = lookup.resolve_files(paths)
    assert time.perf_counter() - began < 10
    assert len(found) == 20_000
    assert len(set(found.values())) == 20_000


def test_unknown_names_come_with_a_suggestion(make: Any) -> None:
    make.node("demo_storage1")
    with pytest.raises(NotFound, match=r'No such storage node: "demo_strage1".*"demo_storage1"'):
        lookup.node("demo_strage1")
    with pytest.raises(NotFound, match=r'No such acquisition: "x"\.$'):
        lookup.acq("x")


@pytest.mark.parametrize("name", ["DEMO", "demo ", "dem%", "\udcff", "demo\0", ""])
def test_names_are_compared_exactly(make: Any, name: str) -> None:
    make.group("demo")
    with pytest.raises(NotFound, match="No such storage group"):
        lookup.group(name)


def test_messages_stay_in_one_line(index: Any) -> None:
    with pytest.raises(NotFound) as raised:
        lookup.node("a\nError: forged\x1b[2J")
    assert raised.value.message.isprintable()


@pytest.mark.parametrize("name", ["a", "x" * 64, "with blank", "a/b", "é", "-n"])
def test_usable_names(name: str) -> None:
    lookup.check_new_name(name, "node")


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\tb", "a\x7f", "\udcff", "a\u2028b"])
def test_unusable_names(name: str) -> None:
    with pytest.raises(InvalidName, match="invalid name for a storage node"):
        lookup.check_new_name(name, "node")


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/data/a", "/data", "a"),
        ("/data//a/", "/data/", "a"),
        ("/data", "/data", ""),
        ("/database/a", "/data", None),
        ("/a", "/", "a"),
        ("/other", "/data", None),
        ("/data/../x", "/data", "../x"),
    ],
)
def test_strip_root(path: str, root: str, below: str | None) -> None:
    assert lookup.strip_root(path, root) == below
