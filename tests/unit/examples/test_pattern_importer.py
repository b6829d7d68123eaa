"""The example extension: which files the demo imports, and what is recorded about them."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import peewee as pw
import pytest

import alpenhorn
import pattern_importer
from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.db.queries import imports
from alpenhorn.extensions import loader
from pattern_importer import AcqData, AcqType, FileData, FileType, demo_init, detect

pytestmark = pytest.mark.sqlite  # its configuration names an SQLite file

EXAMPLES = Path(pattern_importer.__file__).parent
ACQ = "2025/02/21"
NODE: Any = None  # the example does not look at it


@pytest.fixture
def config_file(tmp_path: Path, index: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration for a freshly initialised index, found as a user's is."""
    path = tmp_path / "alpenhorn.conf"
    path.write_text(
        f"database:\n  url: sqlite:///{tmp_path / 'index.db'}\nextensions: [pattern_importer]\n"
    )
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", str(path))
    monkeypatch.setattr(config, "_config", {})
    return path


@pytest.fixture
def demo(config_file: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The tables and types of the demo."""
    demo_init()
    capsys.readouterr()
    pattern_importer._known.clear()
    yield
    db.close()


def rows(model: Any) -> list[dict[str, Any]]:
    return list(model.select().order_by(model.id).dicts())


def typed(model: Any) -> list[dict[str, Any]]:
    """The rows with the names of their types."""
    return list(model.select(model, model.type.rel_model.name).join(model.type.rel_model).dicts())


class TestDetect:
    @pytest.mark.parametrize(
        "name",
        ["meta.txt", "23/1324.dat", *(f"{hour:02}/0000.dat" for hour in range(24))],
    )
    def test_the_files_of_the_demo_are_recognised(self, demo: None, name: str) -> None:
        acq_name, callback = detect(PurePath(ACQ, name), NODE)
        assert acq_name == ACQ
        assert callable(callback)

    @pytest.mark.parametrize(
        "path",
        [
            "2025/02/21/23/1324.dat.temp",
            "2025/02/21/23/1324xdat",
            "2025/02/21/24/0000.dat",
            "2025/02/21/23/1360x.dat",
            "2025/02/21/meta.txt\n",
            "2025/13/21/meta.txt",
            "2025/02/21",
            "x2025/02/21/meta.txt",
            "meta.txt",
            "ALPENHORN_NODE",
        ],
    )
    def test_other_files_are_not(self, demo: None, path: str) -> None:
        assert detect(PurePath(path), NODE) == (None, None)

    def test_the_deepest_directory_that_matches_is_the_acq(self, demo: None) -> None:
        AcqType.create(name="year", patterns='["20[0-9][0-9]"]')
        FileType.create(name="all", patterns='[".*"]')
        assert detect(PurePath(ACQ, "meta.txt"), NODE)[0] == ACQ
        assert detect(PurePath("2025/notes"), NODE)[0] == "2025"

    def test_of_several_types_the_first_acq_type_and_the_last_file_type_count(
        self, demo: None
    ) -> None:
        AcqType.create(name="later", patterns='["2025/.*"]')
        FileType.create(name="all", patterns='["nothing", ".*"]')
        _, callback = detect(PurePath(ACQ, "meta.txt"), NODE)
        types: Any = callback
        assert types.keywords["acq_type"].name == "demo_acq"
        assert types.keywords["file_type"].name == "all"

    @pytest.mark.parametrize(
        ("path", "statements"), [(f"{ACQ}/23/1324.dat", 2), ("a/b/c/d/e/f/g/h", 1)]
    )
    def test_each_table_is_read_once_however_deep_the_path(
        self, demo: None, caplog: pytest.LogCaptureFixture, path: str, statements: int
    ) -> None:
        caplog.set_level(logging.DEBUG, "peewee")
        detect(PurePath(path), NODE)
        assert len([r for r in caplog.records if r.name == "peewee"]) == statements

    @pytest.mark.parametrize("patterns", ["no json", '{"a": 1}', '"text"', "[1]", '["("]'])
    def test_bad_patterns_are_an_error_that_names_the_type(self, patterns: str) -> None:
        with pytest.raises(ValueError, match='bad patterns in AcqType "broken"'):
            AcqType(name="broken", patterns=patterns).check_match("x")

    def test_check_match_returns_the_whole_name_or_nothing(self) -> None:
        kind = FileType(name="x", patterns='["abc", "ab*"]')
        assert kind.check_match("abbb") == "abbb"
        assert kind.check_match("abbbc") is None


class TestCallback:
    def register(self, make: Any, *names: str) -> list[imports.Registered]:
        """Import these files of the demo's acquisition as the daemon does."""
        node = make.node("n1") if not db.StorageNode.select().exists() else db.StorageNode.get()
        callbacks = [detect(PurePath(ACQ, name), NODE)[1] for name in names]

        def call_all(results: list[imports.Registered]) -> None:
            for result, callback in zip(results, callbacks, strict=True):
                assert callback is not None
                assert result.copy is not None
                callback(result.copy, result.new_file, result.new_acq, NODE)

        found = [imports.Found(ACQ, name, 4, "0" * 32, 4) for name in names]
        return imports.register(node, found, create=True, inside=call_all)

    def test_types_of_new_acqs_and_files_are_recorded(self, demo: None, make: Any) -> None:
        self.register(make, "meta.txt", "23/1324.dat")
        acq = db.ArchiveAcq.get(name=ACQ)
        assert [(row["acq"], row["name"]) for row in typed(AcqData)] == [(acq.id, "demo_acq")]
        assert {
            db.ArchiveFile.get_by_id(row["file"]).name: row["name"] for row in typed(FileData)
        } == {
            "meta.txt": "demo_meta",
            "23/1324.dat": "demo_data",
        }
        assert acq.data.count() == 1  # type: ignore[attr-defined]

    def test_nothing_is_recorded_about_what_is_known(self, demo: None, make: Any) -> None:
        make.file(f"{ACQ}/meta.txt")
        self.register(make, "meta.txt")
        assert rows(AcqData) == rows(FileData) == []

    def test_if_the_callback_fails_the_file_is_not_imported(self, demo: None, make: Any) -> None:
        """That is why the extension is atomic: the next import makes all rows."""
        db.database_proxy.execute_sql("DROP TABLE filedata")
        with pytest.raises(pw.OperationalError):
            self.register(make, "meta.txt")
        assert rows(db.ArchiveFileCopy) == rows(db.ArchiveAcq) == rows(AcqData) == []


class TestDemoInit:
    @pytest.mark.slow
    def test_the_users_command_works_twice_and_says_so(self, config_file: Path, index: Any) -> None:
        environment = os.environ | {"PYTHONPATH": str(EXAMPLES)}
        command = [sys.executable, "-c", "import pattern_importer; pattern_importer.demo_init()"]
        contents = []
        for _ in range(2):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=60
            )
            assert (done.stdout, done.stderr) == ("Plugin init complete.\n", "")
            assert done.returncode == 0
            contents.append([rows(m) for m in (AcqType, FileType, AcqData, FileData)])
        assert contents[0] == contents[1]
        assert [row["name"] for row in contents[0][0]] == ["demo_acq"]
        assert [row["name"] for row in contents[0][1]] == ["demo_data", "demo_meta"]

    def test_what_an_operator_changed_stays(self, demo: None) -> None:
        AcqType.update(patterns="[]").execute()
        demo_init()
        assert [row["patterns"] for row in rows(AcqType)] == ["[]"]

    def test_an_unusable_database_is_one_line(
        self, config_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config_file.write_text("database: {}\n")
        with pytest.raises(SystemExit, match="Error: Unable to connect to the database: No data"):
            demo_init()
        assert capsys.readouterr().out == ""

    def test_the_tables_are_those_of_the_contract(self, demo: None, index: Any) -> None:
        def columns(table: str) -> dict[str, bool]:
            return {column.name: column.null for column in index.get_columns(table)}

        types = {"id": False, "name": False, "patterns": False, "notes": True}
        assert columns("acqtype") == columns("filetype") == types
        assert columns("acqdata") == {"id": False, "acq_id": False, "type_id": True}
        assert columns("filedata") == {"id": False, "file_id": False, "type_id": True}
        assert "typebase" not in index.get_tables()
        unique = {
            (table, *found.columns)
            for table in ("acqtype", "filetype", "acqdata", "filedata")
            for found in index.get_indexes(table)
            if found.unique
        }
        assert unique == {
            ("acqtype", "name"),
            ("filetype", "name"),
            ("acqdata", "acq_id"),
            ("filedata", "file_id"),
        }


class TestLoading:
    def test_alpenhorn_loads_it_under_the_seeds_name(
        self, config_file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        config.load_config(None, cli=False)
        caplog.set_level(logging.INFO)
        (extension,) = loader.find_extensions()
        assert caplog.messages == ["Loading extension pattern_importer"]
        assert extension.full_name == "pattern_importer.PatternImporter"
        assert str(extension.version) == alpenhorn.__version__
        assert extension.atomic is True  # type: ignore[attr-defined]

    def test_it_uses_only_public_names(self) -> None:
        """Whoever copies it must not depend on our insides (spec: extensions.md §9)."""
        source = Path(pattern_importer.__file__).read_text()
        modules = set(re.findall(r"^\s*(?:from|import) (alpenhorn[\w.]*)", source, re.MULTILINE))
        assert modules == {
            "alpenhorn",
            "alpenhorn.common",
            "alpenhorn.daemon",
            "alpenhorn.extensions",
            "alpenhorn.extensions.import_detect",
        }
