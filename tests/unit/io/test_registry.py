"""Storage classes by name, and what is said about names that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alpenhorn.db import StorageGroup, StorageNode
from alpenhorn.errors import ExtensionError, StorageError
from alpenhorn.io import internal_io, registry
from alpenhorn.io.base import InternalIO
from alpenhorn.io.default import DefaultGroupIO, DefaultNodeIO, DefaultNodeRemote


@pytest.fixture(autouse=True)
def nothing_added() -> Iterator[None]:
    registry.reset()
    yield
    registry.reset()


def node(io_class: str | None, io_config: str | None = None) -> StorageNode:
    return StorageNode(name="n", io_class=io_class, io_config=io_config)


def group(io_class: str | None) -> StorageGroup:
    return StorageGroup(name="g", io_class=io_class)


@pytest.mark.parametrize("name", [None, "", "Default"])
def test_without_a_class_it_is_default(name: str | None) -> None:
    assert registry.entry_for(node(name)).node_class is DefaultNodeIO
    assert registry.entry_for(group(name)).group_class is DefaultGroupIO


@pytest.mark.parametrize("name", ["default", "transport", "Nope", " Default"])
def test_an_unknown_class_names_the_record(name: str) -> None:
    """Names are case-sensitive."""
    with pytest.raises(StorageError) as error:
        registry.entry_for(node(name))
    assert error.value.message == f'Unknown I/O class: "{name}".  Ignoring StorageNode n.'


@pytest.mark.parametrize(
    ("record", "kind"), [(node("Transport"), "StorageNode n"), (group("Polling"), "StorageGroup g")]
)
def test_a_class_without_the_needed_half_is_an_error(record: Any, kind: str) -> None:
    with pytest.raises(StorageError) as error:
        registry.entry_for(record)
    assert error.value.message.startswith(f'No implementation of I/O class "{record.io_class}"')
    assert error.value.message.endswith(f"for {kind}.")


def test_an_extension_adds_a_class() -> None:
    entry = InternalIO("somebody.tape", DefaultNodeIO)
    registry.register("Tape", entry)
    assert registry.lookup("Tape") is entry
    assert registry.entry_for(node("Tape")) is entry


@pytest.mark.parametrize("name", ["Default", "Polling", "Transport", "LustreQuota", "LustreHSM"])
def test_a_name_of_ours_is_taken(name: str) -> None:
    known = dict(internal_io)
    with pytest.raises(ExtensionError, match=f'"{name}" from Extension "x" already provided by'):
        registry.register(name, InternalIO("x", DefaultNodeIO))
    assert internal_io == known


def test_a_name_can_be_added_once() -> None:
    registry.register("Tape", InternalIO("first", DefaultNodeIO))
    with pytest.raises(ExtensionError, match='from Extension "second" already provided by first'):
        registry.register("Tape", InternalIO("second", DefaultNodeIO))


@pytest.mark.parametrize("text", [None, "", "{}", "null"])
def test_no_configuration_is_an_empty_one(text: str | None) -> None:
    assert registry.parse_config(text) == {}


def test_configuration_is_a_json_object() -> None:
    assert registry.parse_config('{"headroom": 5, "unknown": [1]}') == {
        "headroom": 5,
        "unknown": [1],
    }


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "true", "{", "headroom: 5", "{'a': 1}"])
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(StorageError, match="I/O config is not"):
        registry.parse_config(text)
    with pytest.raises(StorageError):
        registry.remote_for(node(None, text))


def test_the_remote_half_is_that_of_the_nodes_class() -> None:
    remote = registry.remote_for(node(None, '{"a": 1}'))
    assert isinstance(remote, DefaultNodeRemote)
    assert remote.config == {"a": 1}
