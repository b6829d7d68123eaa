"""``alpenhorn file create``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.common import hashing
from alpenhorn.common.units import utcnow
from alpenhorn.db import ArchiveFile, ArchiveFileCopy

MD5 = "0123456789abcdef0123456789ABCDEF"


@pytest.fixture(autouse=True)
def there(make: Any) -> None:
    """An acquisition with one file."""
    make.file("acq/old")


def made() -> ArchiveFile:
    return ArchiveFile.select().order_by(ArchiveFile.id.desc()).get()


@pytest.mark.parametrize("size", [0, 12, 2**63 - 1])
def test_create(run: Any, size: int) -> None:
    """D13: 0 is a size. D14: stored in lower case."""
    begin = utcnow()
    result = run("file", "create", "23/new.dat", "acq", "--md5", MD5, "--size", size)
    assert (result.stdout, result.stderr, result.code) == (
        "Registered File acq/23/new.dat\n",
        "",
        0,
    )
    file = made()
    assert (file.acq.name, file.name, file.size_b) == ("acq", "23/new.dat", size)
    assert file.md5sum == MD5.lower()
    assert begin.replace(microsecond=0) <= file.registered <= utcnow()
    assert ArchiveFileCopy.select().count() == 0


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        (["--md5", MD5, "--size", "big"], 2, "big"),
        (["--md5", MD5, "--size", "1.5"], 2, "1.5"),
        (["--md5", MD5], 2, "--md5 and --size must be used together"),
        (["--size", "1"], 2, "--md5 and --size must be used together"),
        (["--size=0", "--from-file"], 2, "--md5 and --size must be used together"),
        (["--md5", MD5, "--size=0", "--from-file"], 2, "cannot use both --from-file and --md5"),
        ([], 2, "missing --md5 or --from-file"),
        (["--prefix=x"], 2, "missing --md5 or --from-file"),
        (
            ["--md5", MD5, "--size=1", "--prefix=x"],
            2,
            "--prefix may only be used with --from-file",
        ),
        (["--md5", MD5, "--size=-1"], 1, "negative file size"),
        (["--md5", MD5, f"--size={2**63}"], 1, "too large"),
        (["--md5", MD5[1:], "--size=1"], 1, "invalid hash"),
        (["--md5", MD5 + "0", "--size=1"], 1, "invalid hash"),
        (["--md5", MD5[1:] + "g", "--size=1"], 1, "invalid hash"),
        (["--md5", "0x" + MD5[2:], "--size=1"], 1, "invalid hash"),
        (["--md5", MD5[:15] + "_" + MD5[16:], "--size=1"], 1, "invalid hash"),
        (["--md5", " " + MD5[2:] + " ", "--size=1"], 1, "invalid hash"),
        (["--md5", MD5 + "\n", "--size=1"], 1, "invalid hash"),
        (["--md5=", "--size=1"], 1, "invalid hash"),
    ],
)
def test_bad_options(run: Any, dump: Any, args: list[str], code: int, phrase: str) -> None:
    tables = dump()
    result = run("file", "create", "new", "acq", *args)
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == tables


BAD_NAMES = [
    *("", ".", "..", "/a", "./a", "../a", "a/", "a/.", "a/..", "a//b", "a/./b"),
    *("name/../name", "x" * 256, "a\nb", "a\x00b"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("args", [["--md5", MD5, "--size=1"], ["--from-file"]])
def test_bad_names(run: Any, dump: Any, name: str, args: list[str]) -> None:
    tables = dump()
    result = run("file", "create", name, "acq", *args)
    assert (result.stdout, result.code) == ("", 1)
    assert "invalid name" in result.stderr
    assert dump() == tables


@pytest.mark.parametrize("name", ["a/.../b", ".hidden", "a.b", "..."])
def test_odd_names(run: Any, name: str) -> None:
    assert run("file", "create", name, "acq", "--md5", MD5, "--size=1").code == 0
    assert made().name == name


@pytest.mark.parametrize("args", [["--md5", MD5, "--size=1"], ["--from-file"]])
def test_records_that_are_in_the_way_or_missing(
    make: Any, run: Any, dump: Any, args: list[str]
) -> None:
    make.file("acq/sub/x")
    tables = dump()
    taken = run("file", "create", "old", "acq", *args)
    assert taken.stderr == 'Error: File "acq/old" already exists.\n'
    same_path = run("file", "create", "sub/x", "acq", *args)
    assert same_path.stderr == 'Error: File "acq/sub/x" already exists.\n'
    unknown = run("file", "create", "new", "unknown", *args)
    assert "No such acquisition" in unknown.stderr
    assert (taken.code, same_path.code, unknown.code) == (1, 1, 1)
    assert dump() == tables


def test_checks_are_made_in_order(run: Any) -> None:
    def phrase(*args: str) -> str:
        return run("file", "create", *args).stderr

    assert "negative" in phrase("/", "unknown", "--md5=x", "--size=-1")
    assert "invalid name" in phrase("/", "unknown", "--md5=x", "--size=1")
    assert "invalid hash" in phrase("new", "unknown", "--md5=x", "--size=1")
    assert "No such acquisition" in phrase("new", "unknown", "--from-file")
    assert "already exists" in phrase("old", "acq", "--from-file", "--prefix=/nowhere")


# --from-file


@pytest.mark.parametrize(
    ("contents", "md5"),
    [
        (b"contents", "98bf7d8c15784f0a3d63204441e1e2aa"),
        (b"", "d41d8cd98f00b204e9800998ecf8427e"),
    ],
)
@pytest.mark.parametrize("prefix", ["absolute", "relative", "current"])
def test_from_file(
    run: Any,
    tmp_path: Path,
    monkeypatch: Any,
    contents: bytes,
    md5: str,
    prefix: str,
) -> None:
    path = tmp_path / "data" / "acq" / "23" / "new.dat"
    path.parent.mkdir(parents=True)
    path.write_bytes(contents)
    monkeypatch.chdir(tmp_path / "data" if prefix == "current" else tmp_path)
    args = {"absolute": [f"--prefix={tmp_path / 'data'}"], "relative": ["--prefix", "data"]}
    result = run("file", "create", "23/new.dat", "acq", "--from-file", *args.get(prefix, []))
    assert (result.stdout, result.code) == ("Registered File acq/23/new.dat\n", 0)
    assert (made().md5sum, made().size_b) == (md5, len(contents))


def _nothing(path: Path) -> None:
    pass


def _unreadable(path: Path) -> None:
    path.symlink_to(path.name)  # a loop; permissions would not stop the superuser


@pytest.mark.parametrize(
    ("make_it", "phrase"),
    [
        (_nothing, "no such file"),
        (Path.mkdir, "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (_unreadable, "Unable to read"),
    ],
)
def test_from_what_is_no_file(
    run: Any, dump: Any, tmp_path: Path, make_it: Any, phrase: str
) -> None:
    (tmp_path / "acq").mkdir()
    make_it(tmp_path / "acq" / "new")
    tables = dump()
    result = run("file", "create", "new", "acq", "--from-file", "--prefix", tmp_path)
    assert (result.stdout, result.code) == ("", 1)
    assert phrase in result.stderr and result.stderr.count("\n") == 1
    assert dump() == tables


@pytest.mark.parametrize("error", [TimeoutError("too slow"), PermissionError(13, "Denied")])
def test_hashing_gives_up(
    run: Any, dump: Any, tmp_path: Path, monkeypatch: Any, error: Exception
) -> None:
    def fail(file: Any) -> None:
        raise error

    (tmp_path / "acq").mkdir()
    (tmp_path / "acq" / "new").write_bytes(b"x")
    monkeypatch.setattr(hashing, "md5_of", fail)
    tables = dump()
    result = run("file", "create", "new", "acq", "--from-file", "--prefix", tmp_path)
    assert (result.stdout, result.code) == ("", 1)
    assert "Unable to read" in result.stderr
    assert dump() == tables


def test_a_file_that_grows_while_it_is_read(
    run: Any, dump: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "acq").mkdir()
    path = tmp_path / "acq" / "new"
    path.write_bytes(b"x")
    real = hashing.md5_of

    def grow(file: Any) -> tuple[str, int]:
        found = real(file)
        path.write_bytes(b"xy")
        return found

    monkeypatch.setattr(hashing, "md5_of", grow)
    tables = dump()
    result = run("file", "create", "new", "acq", "--from-file", "--prefix", tmp_path)
    assert result.code == 1
    assert "was changed while it was read" in result.stderr
    assert dump() == tables


def test_somebody_else_is_quicker(run: Any, make: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """The record is looked for again in the transaction that writes."""
    (tmp_path / "acq").mkdir()
    (tmp_path / "acq" / "new").write_bytes(b"x")
    real = hashing.md5_of

    def slow(file: Any) -> tuple[str, int]:
        make.file("acq/new", size_b=77)
        return real(file)

    monkeypatch.setattr(hashing, "md5_of", slow)
    result = run("file", "create", "new", "acq", "--from-file", "--prefix", tmp_path)
    assert result.stderr == 'Error: File "acq/new" already exists.\n'
    assert made().size_b == 77
