"""The contract of storage classes as tests; every class, ours or a third party's, runs them.

For third parties: put this directory's parent on pytest's path (or copy this file; it needs
nothing but alpenhorn and pytest), derive a class per role and override the factory::

    from contract.storage_suite import NodeContract

    class TestMyNode(NodeContract):
        node_class = MyNodeIO
        config = {"headroom": 0}

        def put(self, io, path, data): ...      # bring a file onto the medium
        def read(self, io, path): ...           # its bytes, None if it is not there

The tests talk to the class as the daemon does: through the list forms of the jobs, with real rows
in an SQLite index and a queue whose tasks are run between two looks. Sources of pulls are
directories of Default nodes on this host (spec: io-classes.md §3-§5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from alpenhorn import db
from alpenhorn.common import config as configuration
from alpenhorn.db import connection, engines, schema
from alpenhorn.io.base import BaseGroupIO, BaseNodeIO, BaseNodeRemote
from alpenhorn.io.default import DefaultNodeIO, space
from alpenhorn.scheduler import FairMultiFIFOQueue, Task, TaskRunner, run_one

HERE = "here"
FILE = "2025/02/21/23/1324.dat"
DATA = b"twelve bytes"
FEW, MANY = 2, 20


class Bench:
    """An index with rows, and a queue whose tasks run when the test says so."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        self.queue = FairMultiFIFOQueue()

    def node(self, name: str, group: str | None = None, **values: Any) -> db.StorageNode:
        """Make a row; its root is a fresh directory."""
        root = self.tmp / name
        root.mkdir()
        row, _ = db.StorageGroup.get_or_create(name=group or name)
        facts = {"root": str(root), "host": HERE, "active": True, "storage_type": "F"} | values
        return db.StorageNode.create(name=name, group=row, **facts)

    def file(self, path: str, data: bytes = DATA) -> db.ArchiveFile:
        acq, _ = db.ArchiveAcq.get_or_create(name=path.partition("/")[0])
        facts = {"size_b": len(data), "md5sum": hashlib.md5(data).hexdigest()}
        name = path.partition("/")[2]
        file, _ = db.ArchiveFile.get_or_create(acq=acq, name=name, defaults=facts)
        return file

    def copy(self, path: str, node: db.StorageNode, state: str) -> db.ArchiveFileCopy:
        facts = {"has_file": state[0], "wants_file": state[1], "ready": True}
        return db.ArchiveFileCopy.create(file=self.file(path), node=node, **facts)

    def protect(self, paths: Iterable[str]) -> None:
        """Record good copies on two archive nodes elsewhere."""
        paths = list(paths)
        for name in ("vault1", "vault2"):
            known = db.StorageNode.get_or_none(name=name)
            node = known or self.node(name, host=f"far from {name}", storage_type="A")
            for path in paths:
                self.copy(path, node, "YY")

    def source(self) -> db.StorageNode:
        """A Default node on this host to pull from."""
        known = db.StorageNode.get_or_none(name="source")
        if known is not None:
            return known
        node = self.node("source")
        Path(node.root or "", "ALPENHORN_NODE").write_text("source\n")
        return node

    def request(self, path: str, group: db.StorageGroup, data: bytes = DATA) -> Any:
        """Ask for a file that the source has; `data` is what really lies there."""
        source = self.source()
        self.file(path)
        place = Path(source.root or "", path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        self.copy(path, source, "YY")
        return db.ArchiveFileCopyRequest.create(
            file=self.file(path), node_from=source, group_to=group
        )

    def state(self, path: str, node: db.StorageNode) -> str | None:
        """The letters of has_file and wants_file; None without a row."""
        copy = db.ArchiveFileCopy.get_or_none(file=self.file(path), node=node)
        return f"{copy.has_file}{copy.wants_file}" if copy else None

    def run(self) -> int:
        """Run what is queued; an exception of a task breaks the test. Returns the number."""
        failures: list[BaseException] = []

        def note(task: Task, failure: BaseException | None) -> None:
            failures.extend([failure] if failure else [])

        runner = TaskRunner(on_finish=note)
        count = 0
        while run_one(self.queue, runner, timeout=0):
            count += 1
        if failures:
            raise failures[0]
        return count


@contextmanager
def fresh_bench(tmp: Path) -> Iterator[Bench]:
    """Provide a fresh index and a fresh host below an empty directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(configuration, "_config", {"base": {"hostname": HERE}})
        connection.set_extension(None)
        database = engines.make({"url": f"sqlite:///{tmp / 'index.db'}"})
        connection.bind(database)
        database.execute_sql("PRAGMA synchronous=OFF")  # no test pulls the plug
        schema.initialise()
        (tmp / "media").mkdir()
        try:
            yield Bench(tmp / "media")
        finally:
            space._reserved.clear()
            database.close()


class Contract:
    """What the contracts of all roles share."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        with fresh_bench(tmp_path) as bench:
            yield bench


class NodeContract(Contract):
    """What every node class promises. Override the factory below."""

    node_class: ClassVar[type[BaseNodeIO]]
    config: ClassVar[Mapping[str, Any]] = {}
    has_identity: ClassVar[bool] = True
    """Does the medium bear the node's name, so that another's is refused?"""

    def make(self, bench: Bench, name: str = "node") -> BaseNodeIO:
        """Make the node I/O on a fresh medium that is not initialised."""
        return self.node_class(bench.node(name), self.config, bench.queue, name)

    def put(self, io: Any, path: str, data: bytes) -> None:
        """Bring a file onto the medium, behind alpenhorn's back."""
        place = Path(io.node.root, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def read(self, io: Any, path: str) -> bytes | None:
        """Return the bytes of a file on the medium, None if it is not there."""
        place = Path(io.node.root, path)
        return place.read_bytes() if place.is_file() else None

    @pytest.fixture
    def io(self, bench: Bench) -> Any:
        """The node, initialised."""
        io = self.make(bench)
        assert io.init()
        return io

    def copies(self, bench: Bench, io: Any, count: int, state: str) -> list[Any]:
        """Put good files on the medium and make rows for them."""
        made = []
        for n in range(count):
            self.put(io, f"acq/{n}", DATA)
            made.append(bench.copy(f"acq/{n}", io.node, state))
        return made

    # ---- the class

    def test_its_remote_class_and_observer_are_what_the_daemon_expects(self) -> None:
        assert issubclass(self.node_class, BaseNodeIO)
        assert issubclass(self.node_class.remote_class, BaseNodeRemote)
        assert self.node_class.observer is None or callable(self.node_class.observer)

    # ---- hooks

    def test_a_fresh_record_is_stored(self, bench: Bench, io: Any) -> None:
        record = db.StorageNode.get_by_id(io.node.id)
        io.set_storage(record)
        assert io.node is record

    def test_hooks_let_an_idle_and_a_busy_pass_go_on(self, bench: Bench, io: Any) -> None:
        for idle in (True, False):
            assert isinstance(io.before_update(idle), bool)
        for newly_idle in (True, False):
            io.idle_update(newly_idle)
        io.after_update()
        bench.run()

    # ---- identity

    def test_after_init_the_medium_is_the_nodes_own(self, bench: Bench) -> None:
        io = self.make(bench)
        assert io.init() is True
        assert io.check_init() is True
        assert io.init() is True, "again is harmless"

    def test_the_medium_of_another_node_is_refused_and_not_taken(self, bench: Bench) -> None:
        if not self.has_identity:
            pytest.skip("this medium bears no name")
        owner, thief = self.make(bench), self.make(bench, "thief")
        assert owner.init()
        thief.node.root = owner.node.root
        assert thief.check_init() is False
        assert thief.init() is False
        assert owner.check_init() is True

    # ---- verbs

    def test_free_space_is_a_number_or_unknown(self, io: Any) -> None:
        for fast in (True, False):
            free = io.bytes_avail(fast)
            assert free is None or (isinstance(free, int) and free >= 0)
        assert io.fits(0) is True

    def test_a_file_is_seen_measured_hashed_and_read(self, io: Any) -> None:
        self.put(io, FILE, DATA)
        path = PurePath(FILE)
        assert io.exists(path) is True
        assert io.filesize(path) == len(DATA)
        assert io.md5(FILE) == io.md5("2025/02", "21/23/1324.dat")
        assert io.md5(FILE) == hashlib.md5(DATA).hexdigest()
        used = io.storage_used(path)
        assert used is None or used >= 0
        with io.open(path) as file:
            assert file.read() == DATA
        with io.open(FILE, binary=False) as file:
            assert file.read() == DATA.decode()

    def test_what_is_not_there_is_not_there(self, io: Any) -> None:
        assert io.exists(PurePath("2025/02/21/absent")) is False
        assert io.md5("2025/02/21/absent") is None
        assert list(io.file_walk(PurePath("absent"))) == []
        with pytest.raises(OSError):
            io.open("absent")

    def test_absolute_paths_are_not_opened(self, io: Any) -> None:
        self.put(io, FILE, DATA)
        with pytest.raises(ValueError):
            io.open(Path(io.node.root, FILE))

    def test_a_walk_gives_every_file_once(self, io: Any) -> None:
        for path in ("acq/a", "acq/b/c", "other/x"):
            self.put(io, path, DATA)
        root = Path(io.node.root)
        found = [p.relative_to(root) if p.is_absolute() else p for p in io.file_walk("acq")]
        assert sorted(map(str, found)) == ["acq/a", "acq/b/c"]

    def test_an_ordinary_file_may_be_imported(self, io: Any) -> None:
        self.put(io, FILE, DATA)
        assert io.locked(PurePath(FILE)) is False
        assert isinstance(io.ready_path(PurePath(FILE)), bool)

    # ---- check

    @pytest.mark.parametrize("count", [1, FEW, MANY])
    def test_good_copies_become_present(self, bench: Bench, io: Any, count: int) -> None:
        io.check_many(self.copies(bench, io, count, "MY"))
        bench.run()
        assert [bench.state(f"acq/{n}", io.node) for n in range(count)] == ["YY"] * count

    @pytest.mark.parametrize("data", [b"other bytes!", b"short", b""])
    def test_other_bytes_are_corrupt(self, bench: Bench, io: Any, data: bytes) -> None:
        self.put(io, FILE, data)
        io.check_many([bench.copy(FILE, io.node, "MY")])
        bench.run()
        assert bench.state(FILE, io.node) == "XY"

    def test_a_file_that_is_not_there_is_missing(self, bench: Bench, io: Any) -> None:
        io.check_many([bench.copy(FILE, io.node, "MY")])
        bench.run()
        assert bench.state(FILE, io.node) == "NY"

    def test_one_copy_is_checked_as_a_list_of_one(self, bench: Bench, io: Any) -> None:
        [copy] = self.copies(bench, io, 1, "MY")
        io.check(copy)
        bench.run()
        assert bench.state("acq/0", io.node) == "YY"

    def test_a_release_while_the_check_waits_survives(self, bench: Bench, io: Any) -> None:
        io.check_many(self.copies(bench, io, 1, "MY"))
        db.ArchiveFileCopy.update(wants_file="N").execute()
        bench.run()
        assert (bench.state("acq/0", io.node) or "")[1] == "N"

    # ---- delete

    @pytest.mark.parametrize("count", [1, FEW, MANY])
    def test_protected_released_copies_go(self, bench: Bench, io: Any, count: int) -> None:
        copies = self.copies(bench, io, count, "YN")
        self.put(io, FILE, DATA)
        bench.protect(f"acq/{n}" for n in range(count))
        io.delete_many(copies)
        bench.run()
        for n in range(count):
            assert bench.state(f"acq/{n}", io.node) == "NN"
            assert self.read(io, f"acq/{n}") is None
        assert self.read(io, FILE) == DATA, "nothing else goes"

    def test_a_copy_with_too_few_archive_copies_stays(self, bench: Bench, io: Any) -> None:
        io.delete_many(self.copies(bench, io, 1, "YN"))
        bench.run()
        assert self.read(io, "acq/0") == DATA
        assert bench.state("acq/0", io.node) == "YN"

    def test_one_archive_copy_elsewhere_is_too_few(self, bench: Bench, io: Any) -> None:
        copies = self.copies(bench, io, 1, "YN")
        bench.protect(["acq/0"])
        db.ArchiveFileCopy.update(has_file="X").where(
            db.ArchiveFileCopy.node == db.StorageNode.get(name="vault1")
        ).execute()
        io.delete_many(copies)
        bench.run()
        assert self.read(io, "acq/0") == DATA

    def test_deleting_nothing_is_nothing(self, bench: Bench, io: Any) -> None:
        io.delete_many([])
        io.delete([])
        assert bench.run() == 0

    # ---- pull

    @pytest.mark.parametrize("count", [1, FEW, MANY])
    def test_files_are_pulled_verified_and_recorded(
        self, bench: Bench, io: Any, count: int
    ) -> None:
        requests = [bench.request(f"acq/{n}", io.node.group) for n in range(count)]
        io.pull_many(requests, did_search=True)
        bench.run()
        for n, request in enumerate(requests):
            assert self.read(io, f"acq/{n}") == DATA
            assert bench.state(f"acq/{n}", io.node) == "YY"
            assert db.ArchiveFileCopyRequest.get_by_id(request.id).completed

    def test_one_request_is_pulled_as_a_list_of_one(self, bench: Bench, io: Any) -> None:
        io.pull(bench.request(FILE, io.node.group), True)
        bench.run()
        assert bench.state(FILE, io.node) == "YY"

    @pytest.mark.parametrize("data", [b"other bytes!", b"short"])
    def test_wrong_bytes_never_become_present(self, bench: Bench, io: Any, data: bytes) -> None:
        """An archive destination: its bytes must be its own and right (design P2)."""
        db.StorageNode.update(storage_type="A").where(db.StorageNode.id == io.node.id).execute()
        io.set_storage(db.StorageNode.get_by_id(io.node.id))
        request = bench.request(FILE, io.node.group, data)
        io.pull_many([request], did_search=True)
        bench.run()
        assert bench.state(FILE, io.node) in (None, "NY", "XY")
        assert not db.ArchiveFileCopyRequest.get_by_id(request.id).completed

    def test_a_source_that_is_not_there_ends_the_transfer_only(self, bench: Bench, io: Any) -> None:
        request = bench.request(FILE, io.node.group)
        Path(bench.source().root or "", FILE).unlink()
        io.pull_many([request], did_search=True)
        bench.run()
        assert bench.state(FILE, io.node) is None
        assert not db.ArchiveFileCopyRequest.get_by_id(request.id).completed

    def test_space_that_was_reserved_is_given_back(self, bench: Bench, io: Any) -> None:
        """Also by tasks that never run."""
        requests = [bench.request(f"acq/{n}", io.node.group) for n in range(MANY)]
        io.pull_many(requests[:3], did_search=True)
        bench.run()
        io.pull_many(requests, did_search=True)
        bench.queue.clear_fifo(io.fifo, keep_clear=True)
        assert sum(space._reserved.values()) == 0

    # ---- making ready

    def test_asking_again_to_make_ready_piles_up_no_work(self, bench: Bench, io: Any) -> None:
        if not io.stages:
            return
        self.put(io, FILE, DATA)
        bench.copy(FILE, io.node, "YY")
        group, _ = db.StorageGroup.get_or_create(name="elsewhere")
        request = db.ArchiveFileCopyRequest.create(
            file=bench.file(FILE), node_from=io.node, group_to=group
        )
        io.ready_pull_many([request])
        queued = bench.queue.fifo_size(io.fifo)
        for _ in range(5):
            io.ready_pull_many([request])
        assert bench.queue.fifo_size(io.fifo) <= max(1, queued)


class RemoteContract(Contract):
    """What every remote class promises: answers from the index alone."""

    remote_class: ClassVar[type[BaseNodeRemote]]
    config: ClassVar[Mapping[str, Any]] = {}

    def make(self, bench: Bench, **values: Any) -> BaseNodeRemote:
        """Make the remote of a node whose root is nowhere on this host."""
        facts = {"root": "/far/away", "host": "far", "username": "user", "address": "far.example"}
        return self.remote_class(bench.node("remote", **(facts | values)), self.config)

    def test_a_path_is_absolute(self, bench: Bench) -> None:
        path = self.make(bench).file_path(bench.file(FILE))
        assert isinstance(path, str)
        assert path.startswith("/far/away/")

    def test_an_address_is_user_host_and_path(self, bench: Bench) -> None:
        remote, file = self.make(bench), bench.file(FILE)
        assert remote.file_addr(file) == f"user@far.example:{remote.file_path(file)}"

    @pytest.mark.parametrize(
        "values",
        [
            {"username": None},
            {"address": None},
            {"username": "-oProxyCommand=x"},
            {"address": "-oProxyCommand=x"},
            {"address": "a b"},
            {"address": "host:/etc"},
        ],
    )
    def test_an_address_that_is_missing_or_hostile_is_an_error(
        self, bench: Bench, values: dict[str, str | None]
    ) -> None:
        remote = self.make(bench, **values)
        with pytest.raises(ValueError):
            remote.file_addr(bench.file(FILE))

    def test_readiness_and_permission_are_yes_or_no(self, bench: Bench) -> None:
        remote = self.make(bench)
        bench.copy(FILE, remote.node, "YY")
        assert isinstance(remote.pull_ready(bench.file(FILE)), bool)
        assert isinstance(remote.pull_ready(bench.file("un/known")), bool)
        assert isinstance(remote.remote_pull_ok("here"), bool)


class GroupContract(Contract):
    """What every group class promises. Its nodes are what `make_nodes` makes."""

    group_class: ClassVar[type[BaseGroupIO]]
    config: ClassVar[Mapping[str, Any]] = {}
    storage_type: ClassVar[str] = "F"

    def make_nodes(self, bench: Bench) -> list[Any]:
        """Make a set of nodes that the group can work with, initialised."""
        return [self.default_node(bench, "node")]

    def bad_nodes(self, bench: Bench) -> list[Any]:
        """Make a non-empty set of nodes that the group must refuse."""
        return [self.default_node(bench, "bad1"), self.default_node(bench, "bad2")]

    def default_node(self, bench: Bench, name: str, **values: Any) -> Any:
        """Make a Default node of the group; an object as the daemon hands it over."""
        facts = {"storage_type": self.storage_type} | values
        row = bench.node(name, "group", **facts)
        io = DefaultNodeIO(row, {}, bench.queue, name)
        assert io.init()
        return SimpleNamespace(name=name, db=row, io=io)

    @pytest.fixture
    def nodes(self, bench: Bench) -> list[Any]:
        return self.make_nodes(bench)

    @pytest.fixture
    def group(self, bench: Bench, nodes: list[Any]) -> Any:
        row, _ = db.StorageGroup.get_or_create(name="group")
        group = self.group_class(row, self.config, bench.queue, "the group")
        group.nodes = nodes
        return group

    def place_of(self, bench: Bench, nodes: list[Any], path: str) -> Any:
        """Return the one node that has a good copy."""
        [found] = [node for node in nodes if bench.state(path, node.db) == "YY"]
        return found

    def test_it_keeps_some_of_the_nodes(self, group: Any, nodes: list[Any]) -> None:
        assert group.nodes
        assert all(node in nodes for node in group.nodes)

    def test_it_forgets_its_nodes_when_it_refuses_new_ones(self, bench: Bench, group: Any) -> None:
        """Weakness 9: the public program goes on with a list that it has rejected."""
        with pytest.raises(ValueError, match=r"\w"):
            group.nodes = self.bad_nodes(bench)
        assert group.nodes == []

    def test_without_nodes_nothing_happens(self, bench: Bench, group: Any) -> None:
        request = bench.request(FILE, group.group)
        with pytest.raises(ValueError):
            group.nodes = self.bad_nodes(bench)
        group.search_many([request])
        group.pull_many([request], did_search=True)
        bench.run()
        assert not db.ArchiveFileCopyRequest.get_by_id(request.id).completed
        assert group.exists(PurePath(FILE)) is None

    def test_hooks_let_a_pass_go_on(self, bench: Bench, group: Any) -> None:
        record = db.StorageGroup.get_by_id(group.group.id)
        group.set_storage(record)
        assert group.group is record
        for idle in (True, False):
            assert isinstance(group.before_update(idle), bool)
        group.idle_update()
        group.after_update()
        bench.run()

    def test_it_knows_which_node_has_a_file(self, bench: Bench, group: Any) -> None:
        assert group.exists(PurePath(FILE)) is None
        node = group.nodes[-1]
        place = Path(node.db.root, FILE)
        place.parent.mkdir(parents=True)
        place.write_bytes(DATA)
        assert group.exists(PurePath(FILE)) is node

    @pytest.mark.parametrize("count", [1, FEW, MANY])
    def test_files_are_searched_for_and_pulled(
        self, bench: Bench, group: Any, nodes: list[Any], count: int
    ) -> None:
        requests = [bench.request(f"acq/{n}", group.group) for n in range(count)]
        group.search_many(requests)
        bench.run()
        for n, request in enumerate(requests):
            node = self.place_of(bench, nodes, f"acq/{n}")
            assert Path(node.db.root, f"acq/{n}").read_bytes() == DATA
            assert db.ArchiveFileCopyRequest.get_by_id(request.id).completed

    def test_the_forms_for_one_do_the_same(
        self, bench: Bench, group: Any, nodes: list[Any]
    ) -> None:
        group.pull_search(bench.request("acq/1", group.group))
        bench.run()
        group.pull(bench.request("acq/2", group.group), True)
        bench.run()
        assert self.place_of(bench, nodes, "acq/1") in nodes
        assert self.place_of(bench, nodes, "acq/2") in nodes

    def test_an_untracked_file_is_checked_and_not_fetched(self, bench: Bench, group: Any) -> None:
        if not group.do_pull_search:
            pytest.skip("this class leaves the search to its nodes")
        request = bench.request(FILE, group.group)
        node = group.nodes[-1]
        place = Path(node.db.root, FILE)
        place.parent.mkdir(parents=True)
        place.write_bytes(b"unknown bytes")
        group.search_many([request])
        bench.run()
        assert place.read_bytes() == b"unknown bytes"
        assert bench.state(FILE, node.db) == "MY"
        assert db.ArchiveFileCopy.get(node=node.db).ready is False
        request = db.ArchiveFileCopyRequest.get_by_id(request.id)
        assert not (request.completed or request.cancelled)
