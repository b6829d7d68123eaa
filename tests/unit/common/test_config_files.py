"""Which configuration files are read, in which order, and what is said about bad ones."""

import logging
import os
from pathlib import Path

import pytest

from alpenhorn.common import config, config_files
from alpenhorn.errors import ConfigError


@pytest.fixture
def standard(tmp_path, monkeypatch):
    """Three standard files below a temporary directory; none exists yet."""
    paths = [tmp_path / f"standard{n}.conf" for n in (1, 2, 3)]
    monkeypatch.setattr(config_files, "STANDARD_FILES", tuple(map(str, paths)))
    config.test_isolation(False)
    return paths


def test_trees_merge_as_the_specification_shows():
    a = {"d": {"x": {"s": 1, "t": 1}, "l": [1]}, "m": {"k": 1}}
    b = {"d": {"x": {"s": 2, "u": 2}, "l": [2]}, "m": [2]}
    merged = config.merge_dict_tree(a, b)
    assert merged == {"d": {"x": {"s": 2, "t": 1, "u": 2}, "l": [1, 2]}, "m": [2]}
    assert a == {"d": {"x": {"s": 1, "t": 1}, "l": [1]}, "m": {"k": 1}}
    assert b == {"d": {"x": {"s": 2, "u": 2}, "l": [2]}, "m": [2]}


def test_all_files_that_exist_are_read_and_later_ones_win(standard, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    standard[0].write_text("a: 1\nb: 1\nc: 1\nd: 1\n")
    standard[2].write_text("b: 3\nc: 3\nd: 3\n")
    env, cli = tmp_path / "env.conf", tmp_path / "cli.conf"
    env.write_text("c: 4\nd: 4\n")
    cli.write_text("d: 5\n")
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", str(env))
    config.load_config(str(cli), cli=True)
    assert [config.get(name) for name in "abcd"] == [1, 3, 4, 5]
    read = [standard[0], standard[2], env, cli]
    assert caplog.messages == [f"Loading config file {path}" for path in read]


def test_isolation_leaves_the_standard_files_unread(standard, tmp_path, monkeypatch):
    standard[0].write_text("a: 1\n")
    env = tmp_path / "env.conf"
    env.write_text("b: 1\n")
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", str(env))
    config.test_isolation(enable=True)
    config.load_config(None, cli=True)
    assert config.get("a", None) is None
    assert config.get("b") == 1


def test_names_are_expanded_but_logged_as_given(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "my.conf").write_text("a: 1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY", "my")
    config.load_config("~/${MY}.conf", cli=True)
    assert config.get("a") == 1
    assert caplog.messages == ["Loading config file ~/${MY}.conf"]


def test_relative_names_are_taken_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "my.conf").write_text("a: 1\n")
    monkeypatch.chdir(tmp_path)
    config.load_config("my.conf", cli=True)
    assert config.get("a") == 1


def test_missing_file_of_the_environment_is_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "my.conf").write_text("")
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", f"{tmp_path}/none.conf")
    config.load_config(tmp_path / "my.conf", cli=True)
    warning = f"Config file {tmp_path}/none.conf defined by ALPENHORN_CONFIG_FILE not found."
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [warning]


def test_vanished_file_of_the_command_line_is_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "my.conf").write_text("")
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", f"{tmp_path}/my.conf")
    config.load_config(f"{tmp_path}/none.conf", cli=True)
    assert f"Config file {tmp_path}/none.conf defined on command line not found." in caplog.messages


def test_no_file_at_all_is_an_error_that_points_to_the_help(monkeypatch):
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", "")
    with pytest.raises(ConfigError) as caught:
        config.load_config(None, cli=True)
    text = "No configuration files available.  See --help-config for more details."
    assert caught.value.message == text
    assert caught.value.exit_code == 1


def test_an_empty_file_counts_as_found(configure):
    configure("")
    assert config.get("a", 1) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: [\n", "line 3"), ("a: 'x\n", "line 2"), ("a: !!python/name:os.x\n", "line 1")],
)
def test_broken_yaml_is_one_line_with_file_and_line(tmp_path, text, line):
    path = tmp_path / "my.conf"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load_config(path, cli=True)
    assert f"{path}, {line}: " in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("data", [b"a: \xff\xfe\n", b"a: \x01\n"])
def test_a_file_that_is_no_text_is_one_line_with_its_name(tmp_path, data):
    path = tmp_path / "my.conf"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        config.load_config(path, cli=True)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_directory_in_place_of_a_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError, match=f"{tmp_path}: Is a directory"):
        config.load_config(tmp_path, cli=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "my.conf"
    path.write_text("a: 1\n")
    path.chmod(0)
    with pytest.raises(ConfigError, match=f"{path}: Permission denied"):
        config.load_config(path, cli=True)


@pytest.mark.parametrize("text", ["- a\n", "word\n", "7\n"])
def test_a_top_level_that_is_no_mapping_is_an_error_that_names_the_file(tmp_path, text):
    path = tmp_path / "my.conf"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"{path}: mapping expected"):
        config.load_config(path, cli=True)


def test_after_an_error_the_former_configuration_stays_in_force(configure):
    configure("a: 1\n")
    with pytest.raises(ConfigError):
        configure("a: [\n")
    assert config.get("a") == 1


def test_a_file_named_twice_is_read_once_at_its_last_place(standard, tmp_path, monkeypatch):
    standard[0].write_text("extensions: [one]\nwho: first\n")
    standard[1].write_text("extensions: [two]\nwho: second\n")
    link = tmp_path / "link.conf"
    link.symlink_to(standard[0])
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", str(link))
    config.load_config(None, cli=True)
    assert config.get("extensions") == ["two", "one"]
    assert config.get("who") == "first"


def test_loading_again_replaces_everything(configure):
    configure("a: 1\nl: [1]\n")
    configure("l: [2]\n")
    assert config.get("a", None) is None
    assert config.get("l") == [2]


def test_the_standard_files_are_those_of_the_specification():
    assert config_files.STANDARD_FILES == (
        "/etc/alpenhorn/alpenhorn.conf",
        "/etc/xdg/alpenhorn/alpenhorn.conf",
        "~/.config/alpenhorn/alpenhorn.conf",
    )
    assert Path(config_files.STANDARD_FILES[0]).is_absolute()
