"""What third parties construct: bad arguments are refused at once, with the contract's texts."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

from alpenhorn.extensions import DatabaseExtension, ImportDetectExtension, IOClassExtension
from alpenhorn.io.base import BaseGroupIO, BaseNodeIO


def nothing(*args: Any, **kwargs: Any) -> Any:
    return None, None


class TapeNode(BaseNodeIO):
    pass


class TapeGroup(BaseGroupIO):
    pass


class TestCommon:
    def test_blanks_around_the_name_are_dropped_and_versions_parsed(self) -> None:
        extension = ImportDetectExtension(
            " Chime ", "1.2", nothing, min_version="2", max_version="4", require_schema={"x": 1}
        )
        assert extension.name == "Chime"
        assert extension.full_name is None
        assert extension.version == Version("1.2")
        assert (extension.min_version, extension.max_version) == (Version("2"), Version("4"))
        assert extension.require_schema == {"x": 1}

    @pytest.mark.parametrize(
        ("name", "text"), [("", "name is empty"), ("  ", "name is empty"), ("a.b", "invalid name")]
    )
    def test_names_must_be_one_word(self, name: str, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            ImportDetectExtension(name, "1", nothing)

    @pytest.mark.parametrize("keyword", ["version", "min_version", "max_version"])
    @pytest.mark.parametrize("bad", ["", "new", 1.0])
    def test_a_version_that_is_none_is_a_value_error(self, keyword: str, bad: Any) -> None:
        arguments: dict[str, Any] = {"version": "1", keyword: bad}
        with pytest.raises(ValueError):
            ImportDetectExtension("x", detect=nothing, **arguments)

    @pytest.mark.parametrize(
        ("kind", "extra", "stage"),
        [
            (DatabaseExtension, {"connect": nothing}, 1),
            (ImportDetectExtension, {"detect": nothing}, 2),
            (IOClassExtension, {"io_class_name": "Tape", "node_class": TapeNode}, 2),
        ],
    )
    def test_the_database_comes_first(self, kind: Any, extra: dict[str, Any], stage: int) -> None:
        assert kind("x", "1", **extra).stage == stage


class TestDatabase:
    def test_arguments_are_kept(self) -> None:
        extension = DatabaseExtension("x", "1", nothing, nothing, 1)  # type: ignore[arg-type]
        assert (extension.connect, extension.close) == (nothing, nothing)
        assert extension.reentrant is True
        assert DatabaseExtension("x", "1", nothing).reentrant is False

    @pytest.mark.parametrize("argument", ["connect", "close"])
    def test_functions_must_be_callable(self, argument: str) -> None:
        arguments: dict[str, Any] = {"connect": nothing, argument: "text"}
        with pytest.raises(ValueError, match=rf"{argument} not callable\."):
            DatabaseExtension("x", "1", **arguments)


class TestImportDetect:
    def test_detect_must_be_callable(self) -> None:
        with pytest.raises(ValueError, match=r"detect must be callable\."):
            ImportDetectExtension("x", "1", None)  # type: ignore[arg-type]

    def test_existing_modules_are_not_atomic(self) -> None:
        assert ImportDetectExtension("x", "1", nothing).atomic is False
        assert ImportDetectExtension("x", "1", nothing, atomic=True).atomic is True


class TestIOClass:
    def test_half_a_storage_class_is_enough(self) -> None:
        extension = IOClassExtension("x", "1", " Tape ", group_class=TapeGroup)
        assert extension.io_class_name == "Tape"
        assert (extension.node_class, extension.group_class) == (None, TapeGroup)

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"io_class_name": 3}, TypeError, "io_class_name must be a string"),
            ({"io_class_name": " "}, ValueError, "empty I/O class name"),
            ({"io_class_name": "T"}, ValueError, "neither node_class nor group_class"),
            (
                {"io_class_name": "T", "node_class": TapeGroup},
                TypeError,
                "node_class must be a subclass of BaseNodeIO",
            ),
            (
                {"io_class_name": "T", "group_class": "text"},
                TypeError,
                "group_class must be a subclass of BaseGroupIO",
            ),
        ],
    )
    def test_bad_arguments(
        self, arguments: dict[str, Any], error: type[Exception], text: str
    ) -> None:
        with pytest.raises(error, match=text):
            IOClassExtension("x", "1", **arguments)
