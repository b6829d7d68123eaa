"""Loading extension modules: what is used, what is refused, and what a person is told."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.errors import ConfigError, ExtensionError
from alpenhorn.extensions import IOClassExtension, loader
from alpenhorn.extensions.base import Extension
from alpenhorn.io import registry


def hook(*objects: str) -> str:
    return f"def register_extensions(): return [{', '.join(objects)}]\n"


def load(stage: int) -> None:
    loader.init_extensions(loader.find_extensions(), stage)


def names(extensions: Any) -> list[str | None]:
    return [extension.full_name for extension in extensions]


class TestFinding:
    def test_extensions_come_in_order_under_their_full_names(
        self, listed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        listed(
            first=hook('detector("b")', 'detector("a")'),
            second="def register_extensions(): yield detector('a')",
        )
        assert names(loader.find_extensions()) == ["first.b", "first.a", "second.a"]
        assert caplog.messages == ["Loading extension first", "Loading extension second"]

    def test_no_list_means_no_extensions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(config, "_config", {})
        assert loader.find_extensions() == []

    @pytest.mark.parametrize("value", ["pattern_importer", ["ok", 3], [""], [".relative"]])
    def test_a_list_of_module_names_is_needed(
        self, value: Any, monkeypatch: pytest.MonkeyPatch, listed: Any
    ) -> None:
        listed(ok=hook())
        monkeypatch.setattr(config, "_config", {"extensions": value})
        with pytest.raises(ConfigError, match="invalid config value for extensions"):
            loader.find_extensions()

    def test_an_empty_module_is_no_error(
        self, listed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        listed(idle=hook())
        assert loader.find_extensions() == []
        assert "No usable extensions in module" in caplog.messages

    def test_a_duplicate_is_dropped_with_a_warning(
        self, listed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        listed(twice=hook('detector("a")', 'detector("a")', 'detector("b")'))
        assert names(loader.find_extensions()) == ["twice.a", "twice.b"]
        assert caplog.messages == ['Ignoring duplicate extension "twice.a"']

    def test_strange_objects_are_ignored_with_a_warning(
        self, listed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        listed(strange=hook("42", 'detector("a")'))
        assert names(loader.find_extensions()) == ["strange.a"]
        assert caplog.messages == ["Ignoring Extension with unknown type: strange.int"]

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("import no_such_module", "unable to import extension module bad: No module named"),
            ("1/0", "extension module bad: importing it failed: ZeroDivisionError"),
            ("", 'module "bad" is not a valid .* extension module: no "register_extensions" hook'),
            ("register_extensions = 3", 'no "register_extensions" hook'),
            ("def register_extension(): return {}", 'no "register_extensions" hook'),
            ("def register_extensions(): pass", 'module "bad" .* returned no list, but None'),
        ],
    )
    def test_a_bad_module_is_named_in_one_line(self, listed: Any, source: str, text: str) -> None:
        listed(bad=source)
        with pytest.raises(ExtensionError, match=text) as caught:
            loader.find_extensions()
        assert "\n" not in caught.value.message
        assert caught.value.exit_code == 1

    def test_a_missing_module_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(config, "_config", {"extensions": ["no_such_module"]})
        with pytest.raises(ExtensionError, match="unable to import extension module no_such_mod"):
            loader.find_extensions()

    @pytest.mark.parametrize("body", ["return [].nothing", "yield [].nothing"])
    def test_an_attribute_error_in_the_hook_is_not_taken_for_a_missing_hook(
        self, listed: Any, body: str
    ) -> None:
        listed(bad=f"def register_extensions(): {body}")
        with pytest.raises(ExtensionError, match=r"module bad: .*AttributeError.*'nothing'"):
            loader.find_extensions()


class TestSkipping:
    @pytest.mark.parametrize(
        ("bounds", "reason"),
        [
            ('min_version="99"', r"Alpenhorn too old: \S+ < 99"),
            ('max_version="0.1"', r"Alpenhorn too new: \S+ > 0.1"),
        ],
    )
    def test_an_extension_out_of_its_bounds_is_skipped_with_a_warning(
        self, listed: Any, caplog: pytest.LogCaptureFixture, bounds: str, reason: str
    ) -> None:
        listed(old=hook(f'detector("a", {bounds})', 'detector("b")'))
        load(2)
        assert names(loader.import_detection()) == ["old.b"]
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert record.message.startswith("Skipping init of Extension old.a: ")
        assert caplog.text.count("\n") == 1
        assert re.search(reason, record.message)

    def test_bounds_are_inclusive(self, listed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("alpenhorn.__version__", "2.5")
        listed(exact=hook('detector("a", min_version="2.5", max_version="2.5.0")'))
        load(2)
        assert names(loader.import_detection()) == ["exact.a"]

    @pytest.mark.parametrize(
        ("requirement", "warning"),
        [
            ("2", None),
            (">=1,<3", None),
            (">2", 'Schema requirement ">2" for "alpenhorn" failed.'),
            ("==2", 'Schema requirement "==2" for "alpenhorn" cannot be understood.'),
        ],
    )
    def test_schema_requirements_are_tested_against_the_index(
        self,
        listed: Any,
        index: Any,
        caplog: pytest.LogCaptureFixture,
        requirement: str,
        warning: str | None,
    ) -> None:
        listed(needy=hook(f'detector("a", require_schema={{"alpenhorn": "{requirement}"}})'))
        load(2)
        skipped = [f"Skipping init of Extension needy.a: {warning}"] if warning else []
        assert caplog.messages == skipped
        assert len(loader._state.detectors) == (0 if warning else 1)

    def test_a_skipped_database_extension_is_fatal(self, listed: Any) -> None:
        """Falling back to database.url might mean another Data Index (X-4)."""
        listed(wrong=hook('database("a", min_version="99")'))
        with pytest.raises(ExtensionError, match=r"wrong\.a cannot be used: Alpenhorn too old"):
            load(1)


class TestUsing:
    def test_the_database_extension_makes_the_connection(self, listed: Any) -> None:
        listed(
            ours='base = peewee.SqliteDatabase(":memory:")\n'
            'def register_extensions():\n    return [DatabaseExtension("db", "1",'
            " connect=lambda config: base, reentrant=True)]"
        )
        load(1)
        db.connect()
        assert isinstance(db.database_proxy.obj, pw.SqliteDatabase)
        assert db.database_proxy.obj is sys.modules["ours"].base
        assert db.threadsafe() is True

    def test_two_database_extensions_are_refused(self, listed: Any) -> None:
        listed(a=hook('database("x")'), b=hook('database("y")'))
        with pytest.raises(
            ExtensionError,
            match=r"more than one database extension in config \(a\.x and b\.y\)",
        ):
            load(1)

    def test_each_stage_uses_only_its_own(self, listed: Any) -> None:
        listed(both=hook('detector("d")', 'database("x")'))
        found = loader.find_extensions()
        loader.init_extensions(found, 1)
        assert loader._state.detectors == []
        loader.init_extensions(found, 2)
        assert names(loader.import_detection()) == ["both.d"]

    def test_initialisation_is_no_news_at_info(
        self, listed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The seed's log has no line between loading and the first worker."""
        caplog.set_level(logging.INFO)
        listed(quiet=hook('detector("d")'))
        load(2)
        assert caplog.messages == ["Loading extension quiet"]

    def test_a_storage_class_is_found_by_its_name(self, listed: Any) -> None:
        listed(
            tape="class Node(BaseNodeIO): pass\n" + hook('IOClassExtension("t", "1", "Tape", Node)')
        )
        load(2)
        extension = loader.io_extension("Tape")
        entry = registry.lookup("Tape")
        assert isinstance(extension, IOClassExtension)
        assert entry is not None
        assert entry.full_name == extension.full_name == "tape.t"
        assert entry.node_class is extension.node_class

    @pytest.mark.parametrize(
        ("name", "provider"),
        [
            ("Tape", r"bad\.one"),
            ("Default", r"alpenhorn\.io\.default"),
            ("Polling", r"alpenhorn\.io\.polling"),
            ("Transport", r"alpenhorn\.io\.transport"),
            ("LustreQuota", r"alpenhorn"),
            ("LustreHSM", r"alpenhorn"),
        ],
    )
    def test_a_taken_name_of_a_storage_class_is_refused(
        self, listed: Any, name: str, provider: str
    ) -> None:
        listed(
            bad=hook(
                'IOClassExtension("one", "1", "Tape", BaseNodeIO)',
                f'IOClassExtension("two", "1", "{name}", BaseNodeIO)',
            )
        )
        text = f'I/O class "{name}" from Extension "bad.two" already provided by {provider}'
        with pytest.raises(ExtensionError, match=text):
            load(2)

    def test_an_unknown_kind_of_extension_is_ignored_with_a_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        future = Extension("x", "1")
        future.full_name = "future.x"
        loader.init_extensions([future], 2)
        assert caplog.messages == ["Ignoring Extension with unknown type: future.x"]


class TestNothingLoaded:
    def test_there_are_no_detectors_and_an_error_says_so(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert loader.import_detection() == []
        assert caplog.record_tuples == [
            (
                "alpenhorn.extensions.loader",
                logging.ERROR,
                "Attempt to import file with no import-detect extensions.",
            )
        ]

    def test_built_in_storage_classes_are_known(self) -> None:
        default = loader.io_extension("Default")
        assert default is not None
        assert default.full_name == "alpenhorn.io.default"
        assert default.node_class is not None
        assert loader.io_extension("NoSuchClass") is None

    def test_reset_forgets_everything(self, listed: Any) -> None:
        listed(tape=hook('IOClassExtension("t", "1", "Tape", BaseNodeIO)', 'database("x")'))
        load(1)
        load(2)
        loader.reset()
        assert loader.io_extension("Tape") is registry.lookup("Tape") is None
        assert db.connection._provider is None
