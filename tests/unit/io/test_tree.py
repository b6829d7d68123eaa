"""A tree never touches anything outside its root, whatever names and links say."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from alpenhorn.errors import InvalidName
from alpenhorn.io.default.tree import Tree
from alpenhorn.io.default.updownlock import UpDownLock


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def tree(root: Path) -> Tree:
    return Tree(str(root), UpDownLock())


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the root, with a precious file in it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    return outside


def add(root: Path, path: str, data: bytes = b"data") -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


def empty(tree: Tree, path: str) -> list[str]:
    """Remove empty parents; returns those that went, relative to the root."""
    gone: list[Path] = []
    tree.remove_empty_parents(path, gone.append)
    return [str(path.relative_to(tree.root)) for path in gone]


# ---- names

BAD_NAMES = [
    "../outside/file",
    "a/../../outside/file",
    "..",
    ".",
    "",
    "a/..",
    "/etc/passwd",
    "a\0b",
]


def install(tree: Tree, staging: str, *paths: str) -> None:
    """Install files; raise what goes wrong with one."""
    for _, error in tree.install(staging, paths):
        if error is not None:
            raise error


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_could_leave_the_root_is_refused_before_anything_is_opened(
    tree: Tree, outside: Path, name: str
) -> None:
    for verb in (tree.stat, tree.open, tree.unlink, tree.make_parents):
        with pytest.raises(InvalidName):
            verb(name)
    with pytest.raises(InvalidName):
        install(tree, ".alpenhorn-1", name)
    with pytest.raises(InvalidName):
        tree.remove_empty_parents(name, lambda _: None)
    if name not in ("", "."):
        with pytest.raises(InvalidName):
            list(tree.walk(name))
    assert (outside / "file").read_bytes() == b"precious"


def test_an_absolute_path_below_the_root_is_the_same_as_a_relative_one(
    tree: Tree, root: Path
) -> None:
    add(root, "acq/file")
    assert tree.relative(root / "acq/file") == "acq/file"
    assert tree.stat(root / "acq/file") is not None
    with pytest.raises(InvalidName):
        tree.relative(f"{root}/../outside/file")
    with pytest.raises(InvalidName):
        tree.relative(f"{root}-other/file")


# ---- links that point out


@pytest.fixture
def trap(root: Path, outside: Path) -> Path:
    """In the root: ``dir`` is a link to a directory outside, ``link`` one to a file outside."""
    (root / "dir").symlink_to(outside)
    (root / "link").symlink_to(outside / "file")
    return outside


@pytest.mark.parametrize("name", ["dir/file", "link"])
def test_no_verb_follows_a_link(tree: Tree, trap: Path, name: str) -> None:
    assert tree.stat(name) is None
    with pytest.raises(OSError):
        tree.open(name)
    assert list(tree.walk(name)) == []


def test_a_file_behind_a_link_is_not_removed(tree: Tree, trap: Path) -> None:
    with pytest.raises(OSError):
        tree.unlink("dir/file")
    assert (trap / "file").read_bytes() == b"precious"


def test_a_link_is_removed_and_not_what_it_points_to(tree: Tree, root: Path, trap: Path) -> None:
    assert tree.unlink("link") is True
    assert not (root / "link").is_symlink()
    assert (trap / "file").read_bytes() == b"precious"


def test_no_directory_is_made_behind_a_link(tree: Tree, trap: Path) -> None:
    with pytest.raises(OSError):
        tree.make_parents("dir/deeper/file")
    assert [p.name for p in Path(trap).iterdir()] == ["file"]


def test_nothing_is_installed_behind_a_link(tree: Tree, root: Path, trap: Path) -> None:
    add(root, ".alpenhorn-1/dir/file", b"evil")
    with pytest.raises(OSError):
        install(tree, ".alpenhorn-1", "dir/file")
    assert (trap / "file").read_bytes() == b"precious"


def test_a_link_in_the_place_of_a_file_is_replaced_not_written_through(
    tree: Tree, root: Path, trap: Path
) -> None:
    add(root, ".alpenhorn-1/link", b"new")
    install(tree, ".alpenhorn-1", "link")
    assert (trap / "file").read_bytes() == b"precious"
    assert not (root / "link").is_symlink()
    assert (root / "link").read_bytes() == b"new"


def test_a_staging_directory_that_is_a_link_is_not_installed_from(
    tree: Tree, root: Path, outside: Path
) -> None:
    (root / ".alpenhorn-1").symlink_to(outside)
    with pytest.raises(OSError):
        install(tree, ".alpenhorn-1", "file")
    assert (outside / "file").exists()


def test_directories_behind_a_link_are_not_removed(tree: Tree, trap: Path) -> None:
    (trap / "empty").mkdir()
    with pytest.raises(OSError):
        tree.remove_empty_parents("dir/empty/file", lambda _: None)
    assert (trap / "empty").is_dir()


def test_the_root_itself_may_be_reached_through_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    add(root, "acq/file")
    assert Tree(str(tmp_path / "alias"), UpDownLock()).stat("acq/file") is not None


# ---- what counts as a file


def test_only_regular_files_are_files(tree: Tree, root: Path) -> None:
    (root / "directory").mkdir()
    os.mkfifo(root / "pipe")
    for name in ("directory", "pipe", "absent", "absent/deeper", "pipe/deeper"):
        assert tree.stat(name) is None
    for name in ("directory", "pipe"):
        with pytest.raises(OSError):
            tree.open(name)


def test_what_cannot_be_examined_is_not_called_absent(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(root, "acq/file")

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "stat", broken)
    with pytest.raises(OSError, match="Input/output"):
        tree.stat("acq/file")


def test_no_descriptor_is_left_open(tree: Tree, root: Path, outside: Path) -> None:
    add(root, "a/b/c/file")
    (root / "dir").symlink_to(outside)
    before = len([p.name for p in Path("/proc/self/fd").iterdir()])
    for _ in range(20):
        os.close(tree.open("a/b/c/file"))
        tree.stat("dir/file")
        tree.stat("a/absent/file")
        list(tree.walk("."))
        tree.make_parents("a/b/new/file")
        empty(tree, "a/b/new/file")
    assert len([p.name for p in Path("/proc/self/fd").iterdir()]) == before


# ---- making and installing


def test_make_parents_tells_whether_the_directory_was_missing(tree: Tree, root: Path) -> None:
    assert tree.make_parents("2025/02/21/meta.txt") is True
    assert (root / "2025/02/21").is_dir()
    assert tree.make_parents("2025/02/21/other.txt") is False
    assert not list((root / "2025/02/21").iterdir())


def test_install_makes_the_directory_again_if_a_deletion_has_removed_it(
    tree: Tree, root: Path
) -> None:
    add(root, ".alpenhorn-7/acq/file", b"new")
    install(tree, ".alpenhorn-7", "acq/file")
    assert (root / "acq/file").read_bytes() == b"new"


def test_install_replaces_the_former_file_in_one_step(tree: Tree, root: Path) -> None:
    """A reader that has the old file open goes on reading the old file."""
    old = add(root, "acq/file", b"old")
    add(root, ".alpenhorn-7/acq/file", b"new")
    with old.open("rb") as reader:
        install(tree, ".alpenhorn-7", "acq/file")
        assert reader.read() == b"old"
    assert old.read_bytes() == b"new"
    assert not (root / ".alpenhorn-7/acq/file").exists()


def test_what_cannot_be_installed_leaves_the_others_alone(tree: Tree, root: Path) -> None:
    """Also if it is the first in its directory, or has no directory."""
    for path in ("a/1", "a/3", "b/1", "d/1"):
        add(root, f".alpenhorn-7/{path}", path.encode())
    add(root, "d", b"a file where a directory should be")
    paths = ["a/1", "a/2", "a/3", "none/1", "b/1", "d/1"]
    results = list(tree.install(".alpenhorn-7", paths))
    assert [path for path, _ in results] == paths
    assert [path for path, error in results if error] == ["a/2", "none/1", "d/1"]
    for path in ("a/1", "a/3", "b/1"):
        assert (root / path).read_text() == path


def test_a_failed_install_leaves_the_former_file(tree: Tree, root: Path) -> None:
    old = add(root, "acq/file", b"old")
    (root / ".alpenhorn-7").mkdir()
    with pytest.raises(FileNotFoundError):
        install(tree, ".alpenhorn-7", "acq/file")
    assert old.read_bytes() == b"old"


def test_all_directories_up_to_the_root_are_flushed(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power cut loses the file with the directory that was made for it."""
    flushed: list[Path] = []
    monkeypatch.setattr(
        "alpenhorn.io.default.tree.flush_directories",
        lambda fds: flushed.extend(Path(f"/proc/self/fd/{fd}").readlink() for fd in fds),
    )
    (root / "a/b").mkdir(parents=True)
    (root / "a/c").mkdir()
    tree.flush_parents(["a/b/file", "a/c/file"])
    assert sorted(flushed) == [root, root / "a", root / "a/b", root / "a/c"]


# ---- removing


def test_unlink_says_whether_the_file_was_there(tree: Tree, root: Path) -> None:
    add(root, "acq/file")
    assert tree.unlink("acq/file") is True
    assert tree.unlink("acq/file") is False
    assert tree.unlink("no/such/directory/file") is False


def test_empty_directories_go_from_the_bottom_to_below_the_root(tree: Tree, root: Path) -> None:
    (root / "2025/02/21").mkdir(parents=True)
    assert empty(tree, "2025/02/21/meta.txt") == ["2025/02/21", "2025/02", "2025"]
    assert root.is_dir()


@pytest.mark.parametrize("written", ["{}/", "{}//", "{}/.", "{}"])
def test_the_root_is_never_removed_however_it_is_written(
    root: Path, site: object, written: str
) -> None:
    """Weakness 8: with ``/data/`` the public program climbs over the root."""
    from alpenhorn.db import StorageNode
    from alpenhorn.io.default import DefaultNodeIO, remove_filedir
    from alpenhorn.scheduler import FairMultiFIFOQueue

    node = StorageNode(name="n", root=written.format(root))
    (root / "acq").mkdir()
    tree = DefaultNodeIO(node, {}, FairMultiFIFOQueue(), "n").tree
    assert empty(tree, "acq/file") == ["acq"]
    (root / "acq").mkdir()
    remove_filedir(node, root / "acq", UpDownLock())
    remove_filedir(node, root, UpDownLock())
    assert not (root / "acq").exists()
    assert root.is_dir()


def test_a_file_in_the_root_has_no_directory_to_remove(tree: Tree, root: Path) -> None:
    assert empty(tree, "file") == []
    assert root.is_dir()


def test_removing_stops_at_the_first_directory_in_use(tree: Tree, root: Path) -> None:
    (root / "a/b/c").mkdir(parents=True)
    add(root, "a/other")
    assert empty(tree, "a/b/c/file") == ["a/b/c", "a/b"]


def test_a_directory_that_is_gone_already_does_not_stop_the_removal(tree: Tree, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    assert empty(tree, "a/b/c/d/file") == ["a/b", "a"]
    assert list(root.iterdir()) == []


def test_only_directories_that_this_call_removed_are_told(tree: Tree, root: Path) -> None:
    """Two workers must not both claim to have removed one directory."""
    (root / "a").mkdir()
    assert empty(tree, "a/b/file") == ["a"]


def test_a_directory_that_is_about_to_be_filled_is_not_removed(tree: Tree, root: Path) -> None:
    """The tree lock: removal waits while somebody makes directories."""
    import threading

    (root / "acq").mkdir()
    tree.lock.up.acquire()
    remover = threading.Thread(target=empty, args=(tree, "acq/file"))
    remover.start()
    remover.join(0.05)
    assert (root / "acq").is_dir()
    add(root, "acq/new")
    tree.lock.up.release()
    remover.join(60)
    assert (root / "acq/new").is_file()


# ---- walking


def test_a_walk_gives_each_regular_file_once_and_sorted(tree: Tree, root: Path, trap: Path) -> None:
    for path in ("b/2", "b/1", "b/10", "a/x", "top", "b/sub/y"):
        add(root, path)
    os.mkfifo(root / "b/pipe")
    (root / "empty").mkdir()
    found = list(tree.walk("."))
    assert found == ["top", "a/x", "b/1", "b/10", "b/2", "b/sub/y"]
    assert list(tree.walk("b")) == ["b/1", "b/10", "b/2", "b/sub/y"]
    assert list(tree.walk("b/sub/y")) == ["b/sub/y"]


def test_a_walk_survives_loops_made_of_links(tree: Tree, root: Path) -> None:
    """Weakness 5: they end the public daemon."""
    add(root, "a/file")
    (root / "a/loop").symlink_to(root)
    (root / "a/self").symlink_to("self")
    assert list(tree.walk(".")) == ["a/file"]
    assert list(tree.walk("a")) == ["a/file"]


def test_a_walk_leaves_our_staging_directories_out(tree: Tree, root: Path) -> None:
    add(root, ".alpenhorn-12/acq/partial")
    add(root, "acq/.alpenhorn-12/file")
    assert list(tree.walk(".")) == ["acq/.alpenhorn-12/file"], "ours lie only at the root"


def test_a_walk_of_nothing_is_empty(tree: Tree) -> None:
    assert list(tree.walk("absent")) == []
    assert list(tree.walk(".")) == []


@pytest.mark.slow
def test_a_walk_reaches_any_depth(tree: Tree, root: Path) -> None:
    deep = "/".join(["d"] * 1200) + "/file"
    fd = os.open(root, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    found = list(tree.walk("."))
    subprocess.run(["rm", "-rf", "--", root / "d"], check=True)  # pytest's own cleaning recurses
    assert found == [deep]


@pytest.mark.parametrize("start", [".", "a"])
def test_a_walk_that_cannot_read_a_directory_says_so(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """A scan that stops silently in the middle looks complete."""
    add(root, "a/1/file")
    add(root, "a/2/file")
    add(root, "a/3/file")
    scandir, calls = os.scandir, iter(range(100))

    def broken(fd: int) -> object:
        if next(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        return scandir(fd)

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(OSError, match="Input/output"):
        list(tree.walk(start))


def test_a_directory_that_disappears_meanwhile_is_passed_over(tree: Tree, root: Path) -> None:
    add(root, "a/file")
    add(root, "b/file")
    walk = tree.walk(".")
    assert next(walk) == "a/file"
    (root / "b/file").unlink()
    (root / "b").rmdir()
    assert list(walk) == []
