"""The stage is built in an empty directory only, and holds all that the programs need."""

from __future__ import annotations

import importlib.metadata
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import alpenhorn
from alpenhorn.demo.problems import DemoProblem
from alpenhorn.demo.shell import HOSTS
from alpenhorn.demo.site import build, example_source

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("existing", [True, False])
def test_an_empty_or_new_directory_is_filled(tmp_path: Path, existing: bool) -> None:
    home = tmp_path / "with blank" / "demo"
    if existing:
        home.mkdir(parents=True)
    site = build(home)
    for host in HOSTS:
        assert site.data(host).is_dir()
        assert yaml.safe_load(site.host_conf(host).read_text())["base"] == {"hostname": host}
    assert site.transport.is_dir()
    assert not site.index.exists()


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DemoProblem, match="is not empty"):
        build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["a?b", "a#b", "100%", "a:b", "a\nb", "long" * 60])
def test_a_name_that_would_be_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DemoProblem) as caught:
        build(tmp_path / name)
    assert "\n" not in caught.value.message
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DemoProblem, match="Cannot use the directory"):
        build(tmp_path / "file" / "demo")


def test_the_remote_shell_can_be_started_as_configured(tmp_path: Path) -> None:
    site = build(tmp_path / "demo")
    configured = yaml.safe_load(site.host_conf("alpenhost1").read_text())["daemon"]["remote_shell"]
    words = [*shlex.split(configured), "-l", "root", "alpenhost2", "echo", "here"]
    assert subprocess.check_output(words, env=site.environment(), text=True) == "here\n"


def test_programs_find_the_extension_and_not_the_users_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", "/somewhere/else.conf")
    site = build(tmp_path / "demo")
    code = (
        "import os, pattern_importer as p; print(p.__file__, os.environ['ALPENHORN_CONFIG_FILE'])"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", code], env=site.environment(), text=True
    )
    assert printed.split() == [str(site.python / "pattern_importer.py"), str(site.conf)]


def test_in_a_checkout_the_example_is_that_of_the_checkout() -> None:
    assert example_source() == REPOSITORY / "examples" / "pattern_importer.py"


def test_an_installation_brings_the_example_along() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    (files,) = project["tool"]["setuptools"]["data-files"].values()
    assert files == [str(example_source().relative_to(REPOSITORY))]


class Installed:
    """A file that an installation lists."""

    def __init__(self, path: Path) -> None:
        self.name, self._path = path.name, path

    def locate(self) -> Path:
        return self._path


def pretend_installation(monkeypatch: pytest.MonkeyPatch, *files: Path) -> None:
    monkeypatch.setattr(alpenhorn, "__file__", "/site-packages/alpenhorn/__init__.py")
    listed: list[Any] = [Installed(path) for path in files]
    monkeypatch.setattr(importlib.metadata, "files", lambda name: listed)


def test_elsewhere_the_example_is_where_the_installation_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = tmp_path / "share" / "pattern_importer.py"
    example.parent.mkdir()
    example.touch()
    pretend_installation(monkeypatch, tmp_path / "cli.py", example)
    assert example_source() == example


def test_an_incomplete_installation_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installation(monkeypatch, tmp_path / "pattern_importer.py")
    with pytest.raises(DemoProblem, match="install alpenhorn again"):
        example_source()
