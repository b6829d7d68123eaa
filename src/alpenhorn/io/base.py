"""The contract of a storage class (spec: io-classes.md §3-§5, §17).

A class has three roles. *Node I/O* reads and writes one medium on this host. *Remote I/O* is what
is known, from the index alone, about the source of a pull. *Group I/O* chooses the node for a pull.

Each role has verbs that a medium must have, jobs built on them, and hooks. The jobs come in two
forms: for one copy or request, as third-party classes know them (`check`, `delete`, `pull`), and
for lists (`check_many`, …), which is what the daemon calls. The list form of the base classes
calls the form for one; a class that can do better overrides the list form. If a subclass then
overrides the form for one again, its list form falls back to calling it (`_prefer_overrides`).

Methods marked *main* are called in the main thread and must return quickly; long work belongs into
a `Task` on the instance's own FIFO.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from alpenhorn.common.names import safe_address
from alpenhorn.db import (
    ArchiveFile,
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    StorageGroup,
    StorageNode,
)
from alpenhorn.errors import InvalidName
from alpenhorn.scheduler import FairMultiFIFOQueue

if TYPE_CHECKING:
    from typing import IO

log = logging.getLogger(__name__)

DELETE_BATCH = 10
"""How many copies `BaseNodeIO.delete` gets at a time (spec: daemon.md §13.1)."""


@dataclass(frozen=True)
class Reading:
    """What came of reading a file completely: the evidence for its import."""

    size_b: int
    md5: str | None
    """None if it could not be computed."""
    space_b: int | None
    """Bytes that it takes on the medium, None if meaningless."""
    unchanged: bool
    """Was it the same file, with the same contents, before and after (W-9)?"""


class Medium:
    """A node's medium, as a job found it when it began.

    Args:
        check_init: tells whether the medium is there and is the node's.
    """

    def __init__(self, check_init: Callable[[], bool]) -> None:
        self._check_init = check_init

    def is_there(self) -> bool:
        """Tell whether it is still the same one; if not, what was found proves nothing."""
        return self._check_init()


Examined = Reading | OSError | InvalidName | None
"""What came of one file: None if somebody is writing it, an error if it cannot be read."""


class BaseNodeRemote:
    """What may be asked about the source of a pull; no I/O, the node may be far away."""

    def __init__(self, node: StorageNode, config: Mapping[str, Any]) -> None:
        self.node = node
        self.config = config

    def file_path(self, file: ArchiveFile) -> str:
        """Return the absolute path of `file` on the node."""
        return str(Path(self.node.root or "/", file.path))

    def file_addr(self, file: ArchiveFile) -> str:
        """Return ``user@address:path`` for transfer tools.

        Raises:
            ValueError: the node has no user name or address, or one that is not acceptable.
        """
        if not self.node.username or not self.node.address:
            raise ValueError(f"no user name or address for node {self.node.name}")
        try:
            address = safe_address(self.node.username, self.node.address)
        except InvalidName as error:
            raise ValueError(error.message) from error
        return f"{address}:{self.file_path(file)}"

    def pull_ready(self, file: ArchiveFile) -> bool:
        """Tell whether `file` can be read now."""
        raise NotImplementedError

    def remote_pull_ok(self, host: str) -> bool:
        """Tell whether the daemon on `host` may pull over the network."""
        return True


def _prefer_overrides(cls: type, pairs: Sequence[tuple[str, str]], base: type) -> None:
    """Make `cls` honour a form for one that overrides an inherited list form, also in a mixin."""
    for single, many in pairs:
        if _distance(cls, single) < _distance(cls, many):
            setattr(cls, many, base.__dict__[many])


def _mind_overrides(cls: type[BaseNodeIO] | type[BaseGroupIO]) -> None:
    """What a class inherits is no promise about the tasks that its own jobs make."""
    jobs = (*cls._JOBS.keys(), *cls._JOBS.values())
    if any(_distance(cls, job) < _distance(cls, "takes_more") for job in jobs):
        cls.takes_more = False


def _distance(cls: type, name: str) -> int:
    """Return how far up a class gets an attribute from; 0: it is its own."""
    return next(n for n, parent in enumerate(cls.__mro__) if name in parent.__dict__)


class BaseNodeIO:
    """Node I/O; see the module docstring and io-classes.md §3 for the contracts."""

    remote_class: ClassVar[type[BaseNodeRemote]] = BaseNodeRemote
    observer: ClassVar[Any] = None
    """A class compatible with watchdog's observers; None: the tree cannot be watched."""
    takes_more: ClassVar[bool] = False
    """May the node get further work while it is busy?

    If all that its lists of work become is tasks that say what they hold (`alpenhorn.io.holds`).
    A subclass that overrides a job says so for itself.
    """
    stages: ClassVar[bool] = False
    """Must files be made ready before they can be read (`ready_pull`)?"""

    _JOBS: ClassVar[Mapping[str, str]] = {
        "check": "check_many",
        "delete": "delete_many",
        "pull": "pull_many",
        "ready_pull": "ready_pull_many",
    }
    _FORMS: ClassVar[Sequence[tuple[str, str]]] = (
        *_JOBS.items(),
        ("being_written", "examine_many"),
        ("exists", "find_many"),
        ("locked", "locked_many"),
        ("filesize", "examine_many"),
        ("fingerprint", "examine_many"),
        ("md5", "examine_many"),
        ("storage_used", "examine_many"),
        ("storage_used", "find_many"),
    )
    """Methods, and those that do the same in a quicker way unless a subclass overrides them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check a storage class when it is defined, not when it is first used."""
        super().__init_subclass__(**kwargs)
        if not (
            isinstance(cls.remote_class, type) and issubclass(cls.remote_class, BaseNodeRemote)
        ):
            raise TypeError(f"{cls.__name__}.remote_class must be a subclass of BaseNodeRemote")
        _prefer_overrides(cls, BaseNodeIO._FORMS, BaseNodeIO)
        _mind_overrides(cls)
        if "ready_pull" in cls.__dict__ and "stages" not in cls.__dict__:
            cls.stages = True

    def __init__(
        self,
        node: StorageNode,
        config: Mapping[str, Any],
        queue: FairMultiFIFOQueue,
        fifo: Hashable,
    ) -> None:
        self.node = node
        self.config = config
        self._queue = queue
        self.fifo = fifo

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> None:
        """Refuse an I/O config that the class cannot work with, before it is stored.

        Raises:
            StorageError: names the key and says what would be acceptable.
        """

    # hooks

    def set_storage(self, node: StorageNode) -> None:
        """Take the freshly read record; *main*, each pass but the first."""
        self.node = node

    def before_update(self, idle: bool) -> bool:
        """Return False to have this pass's update skipped; *main*."""
        return True

    def idle_update(self, newly_idle: bool) -> None:
        """Do low-priority work; *main*, after an update, if the node is idle."""

    def after_update(self) -> None:
        """Do what remains; *main*, at the end of each pass."""

    # verbs

    def bytes_avail(self, fast: bool = False) -> int | None:
        """Return the free bytes on the medium, None if unknown (or too dear, if `fast`)."""
        return None

    def store_name(self) -> str | None:
        """Name what the medium shares with other nodes of its host, at most 64 characters.

        Copies on nodes of one host with one name can be lost together, and protect a file once;
        None: it shares nothing, or nobody knows.
        """
        return None

    def check_init(self) -> bool:
        """Tell whether the medium is there and is this node's."""
        return False

    @contextmanager
    def medium(self) -> Iterator[Medium | None]:
        """Hold on to the medium for the time of a job.

        Yields:
            The medium, to be asked just before anything is concluded from what was found on it;
            None if the node's medium is not there.
        """
        yield Medium(self.check_init) if self.check_init() else None

    def init(self) -> bool:
        """Make `check_init` true; returns success."""
        raise NotImplementedError

    def exists(self, path: PurePath) -> bool:
        """Tell whether there is a file at `path`, relative to the root."""
        raise NotImplementedError

    def file_walk(self, path: PurePath) -> Iterable[PurePath]:
        """Yield the paths of the files below `path`, absolute or relative to the root."""
        raise NotImplementedError

    def filesize(self, path: PurePath) -> int:
        """Return a file's length in bytes."""
        raise NotImplementedError

    def fits(self, size_b: int) -> bool:
        """Tell whether there is room for a file of so many bytes."""
        raise NotImplementedError

    def locked(self, path: PurePath) -> bool:
        """Tell whether a file must not be imported now."""
        raise NotImplementedError

    def md5(self, path: PurePath | str, *segments: str) -> str | None:
        """Return a file's MD5 as lower-case hexadecimal text, None if it cannot be computed."""
        raise NotImplementedError

    def open(self, path: PurePath | str, binary: bool = True) -> IO[Any]:
        """Open a file for reading.

        Raises:
            ValueError: `path` is absolute.
        """
        raise NotImplementedError

    def ready_path(self, path: PurePath) -> bool:
        """Make an unregistered file readable; False: not yet, ask again."""
        raise NotImplementedError

    def fingerprint(self, path: PurePath) -> tuple[Any, ...]:
        """Return what changes when a file is written: equal before and after it was read (W-9)."""
        return (self.filesize(path),)

    def being_written(self, path: PurePath) -> bool:
        """Tell whether somebody has the file open for writing, as far as that can be known."""
        return False

    def find_many(self, paths: Sequence[str]) -> dict[str, int | None]:
        """Return those of `paths` at which there are files, with the bytes that each takes.

        None: that is meaningless, or not known.
        """
        return {
            path: self.storage_used(PurePath(path)) for path in paths if self.exists(PurePath(path))
        }

    def locked_many(self, paths: Sequence[str]) -> set[str]:
        """Return those of `paths` that must not be imported now."""
        return {path for path in paths if self.locked(PurePath(path))}

    def examine_many(self, paths: Sequence[str]) -> Iterator[Examined]:
        """Read files that are to be imported.

        Yields:
            For each path, in order: what came of it; None if somebody is writing the file; the
            error if it cannot be read.
        """
        for path in paths:
            try:
                yield self._examine(PurePath(path))
            except (OSError, InvalidName) as error:
                yield error

    def _examine(self, path: PurePath) -> Reading | None:
        if self.being_written(path):
            return None
        before = self.fingerprint(path)
        md5, size = self.md5(path), self.filesize(path)
        unchanged = before == self.fingerprint(path)
        return Reading(size, md5, self.storage_used(path), unchanged)

    def flush_many(self, paths: Sequence[str]) -> None:
        """Put files and the directories that lead to them onto the medium.

        Raises:
            OSError: the medium reports an error.
        """

    def storage_used(self, path: PurePath) -> int | None:
        """Return the bytes that a file takes on the medium, None if meaningless."""
        raise NotImplementedError

    # jobs

    def check(self, copy: ArchiveFileCopy) -> None:
        """See to it that a suspect copy becomes present, corrupt or absent; *main*."""
        raise NotImplementedError

    def check_many(self, copies: Sequence[ArchiveFileCopy]) -> None:
        """Do `check` for each."""
        for copy in copies:
            self.check(copy)

    def delete(self, copies: Sequence[ArchiveFileCopy]) -> None:
        """Delete up to ten copies, each only if enough others protect it; *main*."""
        raise NotImplementedError

    def delete_many(self, copies: Sequence[ArchiveFileCopy]) -> None:
        """Do `delete` for all, ten at a time."""
        for start in range(0, len(copies), DELETE_BATCH):
            self.delete(list(copies[start : start + DELETE_BATCH]))

    def pull(self, req: ArchiveFileCopyRequest, did_search: bool) -> None:
        """Carry a request out, or leave it pending."""
        raise NotImplementedError

    def pull_many(self, requests: Sequence[ArchiveFileCopyRequest], did_search: bool) -> None:
        """Do `pull` for each."""
        for request in requests:
            self.pull(request, did_search)

    def ready_pull(self, req: ArchiveFileCopyRequest) -> None:
        """Make a registered file ready to be read by others; repeated calls are cheap; *main*."""
        raise NotImplementedError

    def ready_pull_many(self, requests: Sequence[ArchiveFileCopyRequest]) -> None:
        """Do `ready_pull` for each."""
        for request in requests:
            self.ready_pull(request)


class BaseGroupIO:
    """Group I/O; see io-classes.md §5 for the contracts."""

    do_pull_search: ClassVar[bool] = True
    """Look for the file on the medium before it is transferred?"""
    takes_more: ClassVar[bool] = False
    """May the group get further requests while it is busy? See `BaseNodeIO.takes_more`."""

    _JOBS: ClassVar[Mapping[str, str]] = {"pull": "pull_many", "pull_search": "search_many"}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check a storage class when it is defined."""
        super().__init_subclass__(**kwargs)
        _prefer_overrides(cls, tuple(BaseGroupIO._JOBS.items()), BaseGroupIO)
        _mind_overrides(cls)

    def __init__(
        self,
        group: StorageGroup,
        config: Mapping[str, Any],
        queue: FairMultiFIFOQueue,
        fifo: Hashable,
    ) -> None:
        self.group = group
        self.config = config
        self._queue = queue
        self.fifo = fifo

    def set_storage(self, group: StorageGroup) -> None:
        """Take the freshly read record; *main*, each pass but the first."""
        self.group = group

    @property
    def nodes(self) -> list[Any]:
        """The usable nodes, best first; the daemon's objects with ``.name``, ``.db``, ``.io``."""
        raise NotImplementedError

    @nodes.setter
    def nodes(self, nodes: list[Any]) -> None:
        """Take the available nodes; ValueError: cannot work with them, none are usable."""
        raise NotImplementedError

    def before_update(self, idle: bool) -> bool:
        """Return False to have this pass's update skipped; *main*."""
        return True

    def idle_update(self) -> None:
        """Do low-priority work; *main*, if the group is idle after an update."""

    def after_update(self) -> None:
        """Do what remains; *main*, at the end of each pass."""

    def exists(self, path: PurePath) -> Any:
        """Return a node that has the file, or None."""
        raise NotImplementedError

    def pull(self, req: ArchiveFileCopyRequest, did_search: bool) -> None:
        """Choose a node and hand the request to it, or leave it pending."""
        raise NotImplementedError

    def pull_many(self, requests: Sequence[ArchiveFileCopyRequest], did_search: bool) -> None:
        """Do `pull` for each."""
        for request in requests:
            self.pull(request, did_search)

    def pull_search(self, req: ArchiveFileCopyRequest) -> None:
        """Look for an unknown copy; have it checked if there is one, else pull; *main*."""
        raise NotImplementedError

    def search_many(self, requests: Sequence[ArchiveFileCopyRequest]) -> None:
        """Do `pull_search` for each."""
        for request in requests:
            self.pull_search(request)


@dataclass(frozen=True)
class InternalIO:
    """A registry entry: a storage class under its name."""

    full_name: str
    node_class: type[BaseNodeIO] | None = None
    group_class: type[BaseGroupIO] | None = None
