"""MD5 sums: right, balanced in the metrics, and never hanging."""

import errno
import hashlib
import os
import threading

import pytest

from alpenhorn.common import hashing


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setattr(hashing, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(hashing, "CHUNK_BYTES", 10_000)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 10_000, 12_288, 12_289, 100_001])
@pytest.mark.parametrize("limit", [60.0, None])
@pytest.mark.usefixtures("small_units")
def test_sum_and_length_are_right_at_all_boundaries(tmp_path, size, limit):
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert hashing.md5_of(file, limit) == (hashlib.md5(data).hexdigest(), size)


def test_the_known_sum_of_the_walkthrough_style(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert hashing.md5sum_file(path) == "900150983cd24fb0d6963f7d28e17f72"
    assert hashing.md5sum_file(str(path)) == "900150983cd24fb0d6963f7d28e17f72"


def test_the_descriptor_stays_open_with_its_offset(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    with path.open("rb") as file:
        file.seek(3)
        assert hashing.md5_of(file.fileno())[1] == 6
        assert file.read() == b"def"


def test_what_runs_is_counted_and_balanced_after_success_and_failure(tmp_path, monkeypatch):
    seen = []
    read = hashing._Reader.read_cached
    monkeypatch.setattr(
        hashing._Reader, "read_cached", lambda self: seen.append(hashing.running()) or read(self)
    )
    (tmp_path / "file").write_bytes(b"x")
    hashing.md5sum_file(tmp_path / "file")
    assert (seen, hashing.running()) == ([1], 0)
    directory = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(IsADirectoryError):
        hashing.md5_of(directory)
    os.close(directory)
    with pytest.raises(OSError, match="Bad file descriptor"):
        hashing.md5_of(directory)
    assert hashing.running() == 0


def test_what_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        hashing.md5sum_file(tmp_path / "none")


@pytest.fixture
def hanging(monkeypatch):
    """Reads that block until the returned event is set; nothing is in memory."""
    release = threading.Event()
    real = os.preadv

    def preadv(fd, buffers, offset, flags=0):
        if flags & os.RWF_NOWAIT:
            raise BlockingIOError(errno.EAGAIN, "not in memory")
        release.wait(30)
        return real(fd, buffers, offset, flags)

    monkeypatch.setattr(hashing.os, "preadv", preadv)
    yield release
    release.set()


def test_a_hanging_medium_is_given_up(tmp_path, hanging, monkeypatch):
    monkeypatch.setattr(hashing, "CHUNK_SECONDS", 0.05)
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file, pytest.raises(TimeoutError):
        hashing.md5_of(file, 0.05)
    assert hashing.running() == 0


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("reason", [errno.EAGAIN, errno.EOPNOTSUPP])
@pytest.mark.parametrize("cached", [0, 1, 3, 25])
def test_what_is_not_in_memory_is_read_all_the_same(tmp_path, monkeypatch, reason, cached):
    """Some blocks are in memory, others must come from the medium."""
    data = os.urandom(100_001)
    path = tmp_path / "file"
    path.write_bytes(data)
    real, calls = os.preadv, []

    def preadv(fd, buffers, offset, flags=0):
        calls.append(flags)
        if flags & os.RWF_NOWAIT and len(calls) > cached:
            raise OSError(reason, "not at once")
        return real(fd, buffers, offset, flags)

    monkeypatch.setattr(hashing.os, "preadv", preadv)
    with path.open("rb") as file:
        assert hashing.md5_of(file, 60) == (hashlib.md5(data).hexdigest(), len(data))
    assert 0 in calls


def test_a_small_file_in_memory_costs_no_thread(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    monkeypatch.setattr(hashing, "timeout_call", None)
    with path.open("rb") as file:
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except OSError as error:
            pytest.skip(f"this file system reads nothing at once: {error}")
        assert hashing.md5_of(file, 60) == (hashlib.md5(b"x").hexdigest(), 1)


def test_the_facade_says_none_for_a_hanging_medium(tmp_path, monkeypatch):
    def hang(source, chunk_seconds=None):
        raise TimeoutError

    path = tmp_path / "file"
    path.write_bytes(b"x")
    monkeypatch.setattr(hashing, "md5_of", hang)
    assert hashing.md5sum_file(path) is None


def test_a_fifo_in_place_of_a_file_does_not_hang_the_facade(tmp_path, monkeypatch):
    monkeypatch.setattr(hashing, "CHUNK_SECONDS", 0.05)
    path = tmp_path / "fifo"
    os.mkfifo(path)
    assert hashing.md5sum_file(path) is None
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # lets the abandoned call go


def test_an_abandoned_read_never_reads_another_file(tmp_path, hanging):
    """The number of the caller's descriptor may be in use for another file when it comes back."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"first")
    second.write_bytes(b"second!")
    fd = os.open(first, os.O_RDONLY)
    reader = hashing._Reader(fd).detached()
    thread = threading.Thread(target=reader.read_chunk)
    thread.start()
    other = os.open(second, os.O_RDONLY)
    os.dup2(other, fd)
    hanging.set()
    thread.join(20)
    os.close(other)
    os.close(fd)
    assert not thread.is_alive()
    assert reader.length == len(b"first")
    reader.close()
