"""Extensions: each is tried, and a bad one does not hide another."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.common import config
from alpenhorn.extensions import loader
from alpenhorn.services.doctor import extensions
from alpenhorn.services.doctor.report import Finding, Status

GOOD = """
from alpenhorn.extensions.import_detect import ImportDetectExtension
def register_extensions():
    return [ImportDetectExtension("Good", "1.0", lambda path, node: (None, None), {})]
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make modules of these names and sources, and list them in the configuration."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(**sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
            made.append(name)
        (tmp_path / "conf").write_text(f"extensions: {sorted(made)}\n")
        config.load_config(tmp_path / "conf", cli=True)

    yield make
    for name in made:
        sys.modules.pop(name, None)
    loader.reset()


def found(index_there: bool = True) -> list[Finding]:
    return list(extensions.check(extensions.load(), index_there))


def problems(findings: list[Finding]) -> list[str]:
    assert all(finding.advice for finding in findings if not finding.good)
    return [finding.text for finding in findings if finding.status is Status.PROBLEM]


def good(arguments: str = "") -> str:
    return GOOD.replace("{}", arguments)


def test_a_good_extension(index: Any, modules: Any) -> None:
    modules(ext_good=good())
    findings = found()
    assert not problems(findings)
    assert [f.text for f in findings] == ["ext_good loads", "ext_good.Good 1.0"]


def test_bad_modules_do_not_hide_a_good_one(index: Any, modules: Any) -> None:
    modules(ext_a="import no_such_thing", ext_b="1 / 0", ext_c="", ext_good=good())
    findings = found()
    a, b, c = problems(findings)
    assert "ext_a" in a
    assert "no_such_thing" in a
    assert "ZeroDivisionError" in b
    assert "register_extensions" in c
    assert "ext_good.Good 1.0" in [f.text for f in findings]


def test_an_extension_that_the_index_does_not_suit(index: Any, modules: Any) -> None:
    modules(ext_good=good('require_schema={"instrument": 3}'))
    (problem,) = problems(found())
    assert 'Schema requirement "3" for "instrument" failed' in problem


def test_an_extension_of_another_alpenhorn(index: Any, modules: Any) -> None:
    modules(ext_good=good('min_version="99"'))
    (problem,) = problems(found())
    assert "Alpenhorn too old" in problem


def test_without_an_index_the_modules_are_still_imported(modules: Any) -> None:
    modules(ext_a="1 / 0", ext_good=good())
    findings = found(index_there=False)
    assert len(problems(findings)) == 1
    assert "ext_good.Good" in findings[-1].text


def test_an_import_that_hangs_is_given_up(
    index: Any, modules: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules(ext_slow="import threading\nthreading.Event().wait(3)")
    monkeypatch.setattr(extensions, "LIMIT_S", 0.2)
    assert problems(found()) == ["importing ext_slow did not end within 0.2 s"]


def test_no_extension(index: Any, modules: Any) -> None:
    modules()
    (finding,) = found()
    assert finding.text == "none is configured: this host imports no files"
