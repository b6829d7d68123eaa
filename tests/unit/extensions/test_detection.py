"""Asking extensions about a path: the first that knows it wins, and none is trusted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import peewee as pw
import pytest

from alpenhorn.extensions import ImportDetectExtension, loader
from alpenhorn.extensions.detection import BadAcq, DetectFailed, Detection, detect

PATH = PurePath("2025/02/21/23/1324.dat")
NODE = object()


def use(*functions: Any) -> list[ImportDetectExtension]:
    """Put these detect functions to use, as extensions test.0, test.1, ..."""
    extensions = [ImportDetectExtension(f"e{i}", "1", f) for i, f in enumerate(functions)]
    for extension in extensions:
        extension.full_name = f"test.{extension.name}"
    loader.init_extensions(extensions, 2)
    return extensions


def returning(value: Any) -> Any:
    return lambda path, node: value


def clock_of(*seconds: float) -> Any:
    ticks: Iterator[float] = iter(seconds)
    return lambda: next(ticks)


class TestAnswers:
    def test_the_first_extension_that_knows_the_path_wins(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "alpenhorn.extensions.detection")
        asked: list[Any] = []

        def unasked(path: Any, node: Any) -> Any:
            asked.append(path)
            return None, None

        callback = print
        _, second, _ = use(returning((None, None)), returning(("2025/02/21", callback)), unasked)
        assert detect(PATH, NODE) == Detection("2025/02/21", "23/1324.dat", callback, second)
        assert asked == []
        assert 'import detect succeeded using "test.e1"' in caplog.messages

    def test_the_extension_gets_path_and_node(self) -> None:
        got: list[Any] = []

        def watching(*args: Any) -> Any:
            got.append(args)
            return None, None

        use(watching)
        assert detect(PATH, NODE) is None
        assert got == [(PATH, NODE)]

    def test_a_path_is_as_good_a_name_as_a_text(self) -> None:
        use(returning((PurePath("2025/02/21/23"), None)))
        found = detect(PATH, NODE)
        assert found is not None
        assert (found.acq_name, found.file_name) == ("2025/02/21/23", "1324.dat")

    def test_a_callback_that_is_not_callable_is_ignored(self) -> None:
        use(returning(("2025", "call me")))
        found = detect(PATH, NODE)
        assert found is not None
        assert found.callback is None

    def test_without_extensions_nothing_is_recognised_and_an_error_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert detect(PATH, NODE) is None
        assert [record.levelname for record in caplog.records] == ["ERROR"]


class TestBadNames:
    @pytest.mark.parametrize(
        ("acq_name", "reason"),
        [
            ("", "empty path"),
            ("/2025", "invalid start"),
            ("2025/", "invalid end"),
            ("2025//02", "repeated /"),
            ("2025/../2025", 'invalid path element ".."'),
            (PurePath(), "invalid path"),
            ("2024", "not a parent directory of 2025/02/21/23/1324.dat"),
            ("2025/02/2", "not a parent directory of"),
            (str(PATH), "not a parent directory of"),
        ],
    )
    def test_an_acq_that_is_no_proper_directory_above_the_file_is_rejected(
        self, acq_name: Any, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        use(returning((acq_name, None)))
        with pytest.raises(BadAcq) as caught:
            detect(PATH, NODE)
        assert caught.value.reason.startswith(reason)
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert record.message == (f'Rejecting invalid acq path "{acq_name}": {caught.value.reason}')

    @pytest.mark.parametrize(
        ("acq_name", "file_name", "fits"),
        [
            ("a" * 64, "f", True),
            ("a" * 65, "f", False),
            ("a", "f" * 255, True),
            ("a", "f" * 256, False),
            ("a", "line\nbreak", False),
            ("a", "no-utf8-\udcff", False),
        ],
    )
    def test_what_no_column_can_hold_is_rejected(
        self, acq_name: str, file_name: str, fits: bool
    ) -> None:
        use(returning((acq_name, None)))
        path = PurePath(acq_name, file_name)
        if fits:
            assert detect(path, NODE) is not None
        else:
            with pytest.raises(BadAcq):
                detect(path, NODE)

    def test_a_name_cannot_forge_a_log_line(self, caplog: pytest.LogCaptureFixture) -> None:
        use(returning(("a\nINFO all is well", None)))
        with pytest.raises(BadAcq):
            detect(PurePath("a\nINFO all is well/f"), NODE)
        assert "\n" not in caplog.messages[0]


class TestFailures:
    @pytest.mark.parametrize(
        "answer", [None, "ab", (), ("2025",), ("2025", None, None), (3, None), {"a": 1, "b": 2}]
    )
    def test_nonsense_is_a_failure_of_the_extension(
        self, answer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        (extension,) = use(returning(answer))
        with pytest.raises(DetectFailed) as caught:
            detect(PATH, NODE)
        assert caught.value.extension is extension
        assert caught.value.path == PATH
        assert 'Extension "test.e0": detect failed for 2025/02/21/23/1324.dat' in caplog.text

    def test_the_others_are_not_asked_after_a_failure(self) -> None:
        """Another extension might give the file a name that the broken one would not."""
        use(lambda path, node: 1 / 0, returning(("2025", None)))
        with pytest.raises(DetectFailed, match=r"test\.e0"):
            detect(PATH, NODE)

    def test_the_same_error_has_one_traceback_and_one_line_per_file(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(path: PurePath, node: Any) -> Any:
            raise KeyError(path.name)

        use(broken)
        for i in range(3):
            with pytest.raises(DetectFailed):
                detect(PurePath("a", f"f{i}"), NODE)
        assert [record.levelname for record in caplog.records] == ["ERROR"] * 3
        assert [bool(record.exc_info) for record in caplog.records] == [True, False, False]
        assert caplog.messages[2] == (
            "Extension \"test.e0\": detect failed for a/f2: KeyError: 'f2'"
        )

    def test_another_error_of_the_same_extension_is_logged_in_full(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(path: PurePath, node: Any) -> Any:
            if path.name == "f0":
                raise KeyError
            raise IndexError

        use(broken)
        for name in ("f0", "f1"):
            with pytest.raises(DetectFailed):
                detect(PurePath("a", name), NODE)
        assert all(record.exc_info for record in caplog.records)

    def test_a_lost_database_is_no_fault_of_the_extension(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def lost(path: PurePath, node: Any) -> Any:
            raise pw.OperationalError("gone away")

        use(lost)
        with pytest.raises(pw.OperationalError):
            detect(PATH, NODE)
        assert caplog.records == []


class TestSlowness:
    def test_a_call_of_more_than_a_minute_is_warned_about(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        use(returning((None, None)), returning((None, None)))
        detect(PATH, NODE, clock=clock_of(0, 60, 60, 121))
        assert caplog.messages == [
            'Extension "test.e1": detect took 61s for 2025/02/21/23/1324.dat'
        ]

    def test_also_if_it_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        use(lambda path, node: 1 / 0)
        with pytest.raises(DetectFailed):
            detect(PATH, NODE, clock=clock_of(0, 90))
        assert any("detect took 90s" in message for message in caplog.messages)
