"""Our storage classes, and two like those of third parties, keep the contract."""

from __future__ import annotations

import hashlib
import io as streams
import time
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import pytest

pytest.register_assert_rewrite("contract.storage_suite")

from alpenhorn import db  # noqa: E402
from alpenhorn.io.base import BaseGroupIO, BaseNodeIO, BaseNodeRemote  # noqa: E402
from alpenhorn.io.default import (  # noqa: E402
    DefaultGroupIO,
    DefaultNodeIO,
    DefaultNodeRemote,
    check_async,
)
from alpenhorn.io.polling import PollingNodeIO  # noqa: E402
from alpenhorn.io.transport import TransportGroupIO  # noqa: E402
from alpenhorn.scheduler import Task  # noqa: E402
from contract.storage_suite import (  # noqa: E402
    MANY,
    Bench,
    GroupContract,
    NodeContract,
    RemoteContract,
    fresh_bench,
)


class TestDefaultNode(NodeContract):
    node_class = DefaultNodeIO


class TestPollingNode(NodeContract):
    node_class = PollingNodeIO


class TestDefaultRemote(RemoteContract):
    remote_class = DefaultNodeRemote


class TestDefaultGroup(GroupContract):
    group_class = DefaultGroupIO


class TestTransportGroup(GroupContract):
    group_class = TransportGroupIO
    storage_type = "T"

    def make_nodes(self, bench: Bench) -> list[Any]:
        disks = [self.default_node(bench, f"disk{n}", avail_gb=n + 1.0) for n in range(2)]
        return [*disks, self.default_node(bench, "no disk", storage_type="F")]

    def bad_nodes(self, bench: Bench) -> list[Any]:
        return [self.default_node(bench, "bad", storage_type="A")]


# ---- a third party's class for another kind of medium, as in old extension modules


class ShelfRemote(BaseNodeRemote):
    def pull_ready(self, file: db.ArchiveFile) -> bool:
        return True


class ShelfNodeIO(BaseNodeIO):
    """Keeps files under numbers in one directory, with labels; knows only the forms for one."""

    remote_class = ShelfRemote

    def _place(self, path: Any) -> Path:
        path = PurePath(path)
        relative = path.relative_to(self.node.root or "") if path.is_absolute() else path
        number = hashlib.sha1(str(relative).encode()).hexdigest()
        return Path(self.node.root or "", number)

    def _label(self, path: Any) -> Path:
        return self._place(path).with_suffix(".label")

    def keep(self, path: Any, data: bytes) -> None:
        self._place(path).write_bytes(data)
        self._label(path).write_text(str(path))

    def check_init(self) -> bool:
        owner = Path(self.node.root or "", "owner")
        return owner.exists() and owner.read_text() == self.node.name

    def init(self) -> bool:
        owner = Path(self.node.root or "", "owner")
        if not owner.exists():
            owner.write_text(self.node.name)
        return self.check_init()

    def exists(self, path: PurePath) -> bool:
        return self._place(path).is_file()

    def file_walk(self, path: PurePath) -> Any:
        for label in sorted(Path(self.node.root or "").glob("*.label")):
            found = PurePath(label.read_text())
            if found.is_relative_to(path):
                yield found

    def filesize(self, path: PurePath) -> int:
        return self._place(path).stat().st_size

    def storage_used(self, path: PurePath) -> int | None:
        return None

    def fits(self, size_b: int) -> bool:
        return True

    def locked(self, path: PurePath) -> bool:
        return False

    def ready_path(self, path: PurePath) -> bool:
        return True

    def md5(self, path: PurePath | str, *segments: str) -> str | None:
        place = self._place(PurePath(path, *segments))
        return hashlib.md5(place.read_bytes()).hexdigest() if place.is_file() else None

    def open(self, path: PurePath | str, binary: bool = True) -> Any:
        if PurePath(path).is_absolute():
            raise ValueError("absolute path")
        data = self._place(path).read_bytes()
        return streams.BytesIO(data) if binary else streams.StringIO(data.decode())

    def check(self, copy: db.ArchiveFileCopy) -> None:
        def body(task: Task) -> None:
            md5 = self.md5(copy.file.path)
            state = "N" if md5 is None else "Y" if md5 == copy.file.md5sum else "X"
            db.ArchiveFileCopy.update(has_file=state).where(
                db.ArchiveFileCopy.id == copy.id
            ).execute()

        Task(body, queue=self._queue, key=self.fifo, name=f"Look at {copy.file.path}")

    def delete(self, copies: Any) -> None:
        assert len(copies) <= 10, "the contract: batches of 1-10 copies"

        def body(task: Task) -> None:
            for copy in copies:
                if copy.file.archive_count >= 2:
                    self._place(copy.file.path).unlink()
                    db.ArchiveFileCopy.update(has_file="N", wants_file="N").where(
                        db.ArchiveFileCopy.id == copy.id
                    ).execute()

        if copies:
            Task(body, queue=self._queue, key=self.fifo, name="Throw away")

    def pull(self, req: db.ArchiveFileCopyRequest, did_search: bool) -> None:
        def body(task: Task) -> None:
            if not req.check(self.node):  # type: ignore[attr-defined]
                return
            source, began = Path(req.node_from.root or "", req.file.path), time.time()
            facts: dict[str, Any] = {"node_to": self.node, "size": None, "start_time": began}
            if not source.exists():
                req.finish(success=False, md5ok=False, **facts)  # type: ignore[attr-defined]
                return
            self.keep(req.file.path, source.read_bytes())
            md5 = self.md5(req.file.path) or False
            req.finish(success=True, md5ok=md5, **facts)  # type: ignore[attr-defined]

        Task(body, queue=self._queue, key=self.fifo, name=f"Fetch {req.file.path}")


class TestShelfNode(NodeContract):
    """A class with `check`, `delete` and `pull` for one serves a daemon that works on lists."""

    node_class = ShelfNodeIO

    def put(self, io: Any, path: str, data: bytes) -> None:
        io.keep(path, data)

    def read(self, io: Any, path: str) -> bytes | None:
        place: Path = io._place(path)
        return place.read_bytes() if place.is_file() else None


# ---- a third party's class that changes one job of the Default class


class CarefulNodeIO(DefaultNodeIO):
    """Overrides the form for one, and goes on as Default does."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[str] = []

    def check(self, copy: db.ArchiveFileCopy) -> None:
        self.asked.append(str(copy.file.path))
        super().check(copy)


class TestCarefulNode(NodeContract):
    node_class = CarefulNodeIO

    @pytest.mark.parametrize("count", [1, MANY])
    def test_its_check_is_asked_for_every_copy_of_a_list(
        self, bench: Bench, io: Any, count: int
    ) -> None:
        io.check_many(self.copies(bench, io, count, "MY"))
        assert io.asked == [f"acq/{n}" for n in range(count)]


class AllJobsNodeIO(DefaultNodeIO):
    """Every job is overridden and passed on."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[str] = []

    def check(self, copy: Any) -> None:
        self.calls.append("check")
        Task(check_async, queue=self._queue, key=self.fifo, args=(self, copy))

    def delete(self, copies: Any) -> None:
        self.calls.append(f"delete {len(copies)}")
        super().delete(copies)

    def pull(self, req: Any, did_search: bool) -> None:
        self.calls.append("pull")
        super().pull(req, did_search)


class TestAllJobsNode(NodeContract):
    node_class = AllJobsNodeIO

    def test_deletions_come_ten_at_a_time(self, bench: Bench, io: Any) -> None:
        io.delete_many(self.copies(bench, io, 12, "YN"))
        assert io.calls == ["delete 10", "delete 2"]

    def test_pulls_come_one_by_one(self, bench: Bench, io: Any) -> None:
        io.pull_many([bench.request(f"acq/{n}", io.node.group) for n in range(3)], True)
        assert io.calls == ["pull"] * 3


class LoudGroupIO(DefaultGroupIO):
    def pull(self, req: Any, did_search: bool) -> None:
        self.pulled = [*getattr(self, "pulled", []), req.id]
        super().pull(req, did_search)

    def pull_search(self, req: Any) -> None:
        self.searched = [*getattr(self, "searched", []), req.id]
        super().pull_search(req)


class TestLoudGroup(GroupContract):
    group_class = LoudGroupIO

    def test_its_search_and_pull_are_asked_for_every_request(
        self, bench: Bench, group: Any
    ) -> None:
        requests = [bench.request(f"acq/{n}", group.group) for n in range(3)]
        group.search_many(requests)
        bench.run()
        assert group.searched == group.pulled == [request.id for request in requests]


class LoudTransportIO(TransportGroupIO):
    def pull(self, req: Any, did_search: bool) -> None:
        super().pull(req, did_search)


class TestLoudTransport(TestTransportGroup):
    group_class = LoudTransportIO


# ---- how overriding is settled


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with fresh_bench(tmp_path) as bench:
        yield bench


class Mixin:
    def check(self, copy: Any) -> None:
        self.seen = copy


class Mixed(Mixin, DefaultNodeIO):
    pass


@pytest.mark.parametrize("cls", [Mixed, CarefulNodeIO, LoudTransportIO])
def test_a_class_with_jobs_of_its_own_gets_no_more_while_it_is_busy(cls: Any) -> None:
    assert not cls.takes_more


@pytest.mark.parametrize("cls", [DefaultNodeIO, PollingNodeIO, DefaultGroupIO, TransportGroupIO])
def test_classes_of_alpenhorn_get_more_while_they_are_busy(cls: Any) -> None:
    assert cls.takes_more


class ListAgain(CarefulNodeIO):
    def check_many(self, copies: Any) -> None:
        self.asked.append(f"list of {len(copies)}")


class Grandchild(CarefulNodeIO):
    pass


def test_a_form_for_one_from_a_mixin_is_honoured(bench: Bench) -> None:
    io: Any = Mixed(bench.node("n"), {}, bench.queue, "n")
    io.check_many(["the copy"])
    assert io.seen == "the copy"


def test_the_most_derived_form_wins(bench: Bench) -> None:
    copies = [bench.copy(f"acq/{n}", bench.node(f"x{n}"), "MY") for n in range(2)]
    for cls, expected in ((ListAgain, ["list of 2"]), (Grandchild, ["acq/0", "acq/1"])):
        io: Any = cls(bench.node(cls.__name__), {}, bench.queue, "n")
        io.check_many(copies)
        assert io.asked == expected


def test_classes_of_alpenhorn_keep_their_list_forms() -> None:
    for cls in (DefaultNodeIO, PollingNodeIO):
        for _, form in BaseNodeIO._FORMS:
            if form != "ready_pull_many":
                assert getattr(cls, form) is not getattr(BaseNodeIO, form)
    for group_class in (DefaultGroupIO, TransportGroupIO):
        for form in BaseGroupIO._JOBS.values():
            assert getattr(group_class, form) is not getattr(BaseGroupIO, form)


def test_a_class_with_a_wrong_remote_class_is_refused_when_it_is_defined() -> None:
    with pytest.raises(TypeError, match="remote_class"):
        type("Wrong", (BaseNodeIO,), {"remote_class": object})


def test_a_class_that_makes_files_ready_says_so_by_its_method() -> None:
    staging = type("Tape", (DefaultNodeIO,), {"ready_pull": lambda self, req: None})
    assert staging.stages is True
    assert DefaultNodeIO.stages is False
    assert BaseNodeIO.stages is False


def test_the_suite_finds_a_class_that_lies(bench: Bench) -> None:
    """A node that calls every copy good fails the contract."""

    class Liar(ShelfNodeIO):
        def md5(self, path: PurePath | str, *segments: str) -> str | None:
            return hashlib.md5(b"twelve bytes").hexdigest()

    class LiarContract(TestShelfNode):
        node_class = Liar

    contract = LiarContract()
    io: Any = contract.make(bench)
    assert io.init()
    with pytest.raises(AssertionError):
        contract.test_other_bytes_are_corrupt(bench, io, b"short")
