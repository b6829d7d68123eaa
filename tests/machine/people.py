"""What people do: commands of operators, which are the real services, and hands on the disks.

Each function gives what an actor does; a refusal, by the service or the disk, is no failure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpenhorn.db import WantsFile
from alpenhorn.db.queries.clean import CleanScope
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.errors import AlpenhornError
from alpenhorn.services import clean, copies, files, lookup, nodes, repair, requests, sync, verify
from machine.state import Spot

if TYPE_CHECKING:
    from machine.world import World

Deed = Callable[["World"], None]
"""Something that somebody does."""

NO_FILTER = FileFilter()
ROTTEN = b"not what it was"
OTHER_MD5 = "0" * 32


def _deed(act: Callable[..., Any]) -> Callable[..., Deed]:
    """Make of ``act(world, ...)`` a function of the rest, which gives a deed with a name."""

    @functools.wraps(act)
    def give(*args: Any) -> Deed:
        def do(world: World) -> None:
            with suppress(AlpenhornError, OSError):
                act(world, *args)

        words = " ".join(arg if isinstance(arg, str) else " ".join(arg) for arg in args)
        do.__name__ = f"{act.__name__} {words}"
        return do

    return give


# ---- operators


@_deed
def release(world: World, node: str) -> None:
    """``node clean --now``."""
    _clean(node, WantsFile.RELEASED)


@_deed
def mark(world: World, node: str) -> None:
    """``node clean``."""
    _clean(node, WantsFile.REMOVABLE)


@_deed
def keep(world: World, node: str) -> None:
    """``node clean --cancel``."""
    _clean(node, WantsFile.KEEP)


def _clean(node: str, goal: WantsFile) -> None:
    scope = CleanScope(lookup.node(node).id, goal, NO_FILTER, include_bad=True)
    clean.plan_clean(scope).apply()


@_deed
def release_file(world: World, path: str) -> None:
    """``file clean --now``: everywhere at once."""
    copies.set_wants(lookup.file(path), None, WantsFile.RELEASED)


@_deed
def keep_file(world: World, path: str) -> None:
    """``file clean --cancel``."""
    copies.set_wants(lookup.file(path), None, WantsFile.KEEP)


@_deed
def verify_file(world: World, spot: Spot) -> None:
    """``file verify``."""
    copies.verify(lookup.file(spot[0]), lookup.node(spot[1]))


@_deed
def verify_node(world: World, node: str) -> None:
    """``node verify --all``."""
    states = ["healthy", "corrupt", "missing"]
    verify.plan_verify(lookup.node(node), states, NO_FILTER).apply()


@_deed
def call(world: World, state: str, spot: Spot) -> None:
    """``file state --set``."""
    copies.set_state(lookup.file(spot[0]), lookup.node(spot[1]), state, None)


@_deed
def modify(world: World, path: str) -> None:
    """``file modify --md5``: the bytes are wrong everywhere from now on."""
    files.modify(path, OTHER_MD5, None, recheck=True)


@_deed
def retype(world: World, node: str, kind: str) -> None:
    """``node modify``: make it an archive node, or no archive node."""
    nodes.modify(node, None, {}, {"storage_type": kind}, None, ())


@_deed
def deactivate(world: World, node: str) -> None:
    """``node deactivate``."""
    nodes.deactivate(node)


@_deed
def ask(world: World, node: str, group: str) -> None:
    """``node sync``."""
    sync.plan_sync(lookup.node(node), lookup.group(group), NO_FILTER).apply()


@_deed
def take_back(world: World, group: str) -> None:
    """``group sync --cancel``."""
    sync.plan_cancel(None, lookup.group(group), NO_FILTER).apply()


@_deed
def have_repaired(world: World, node: str) -> None:
    """``node repair``."""
    repair.plan_repair(lookup.node(node), NO_FILTER).apply()


@_deed
def have_imported(world: World, spot: Spot) -> None:
    """``file import``."""
    requests.request_import(*spot, register=True)


# ---- hands on the disks


@_deed
def spoil(world: World, spot: Spot) -> None:
    """Bits rot."""
    if _is_there(world, spot):
        _write(world, spot, ROTTEN)


@_deed
def lose(world: World, spot: Spot) -> None:
    """Somebody removes the file."""
    world.file(spot).unlink(missing_ok=True)


@_deed
def put(world: World, spot: Spot) -> None:
    """Somebody copies the file there."""
    if world.root(spot[1]).is_dir():
        _write(world, spot, world.data[spot[0]])


@_deed
def take_away(world: World, node: str) -> None:
    """The medium is unmounted."""
    if world.root(node).is_dir() and not world.away(node).exists():
        world.root(node).rename(world.away(node))


@_deed
def swap(world: World, node: str) -> None:
    """Another medium, empty, takes its place."""
    take_away(node)(world)
    if not world.root(node).exists():
        world.root(node).mkdir()


@_deed
def bring_back(world: World, node: str) -> None:
    """The medium is mounted again."""
    if world.away(node).is_dir():
        if world.root(node).is_dir():
            _remove_tree(world.root(node))
        world.away(node).rename(world.root(node))


def _is_there(world: World, spot: Spot) -> bool:
    return world.file(spot).is_file()


def _write(world: World, spot: Spot, data: bytes) -> None:
    """Write a file as a careful writer does: it is never there in part."""
    place = world.file(spot)
    place.parent.mkdir(parents=True, exist_ok=True)
    new = world.root(spot[1]) / ".somebody"
    new.write_bytes(data)
    new.replace(place)


def _remove_tree(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    root.rmdir()
