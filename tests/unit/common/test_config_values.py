"""How single values are looked up, converted and refused."""

import pytest

from alpenhorn.common import config, host
from alpenhorn.common.config_keys import KEYS
from alpenhorn.errors import ConfigError, ConfigValueError


def test_dotted_paths_lead_into_the_tree(configure):
    configure("logging: {file: {watch: true}}")
    assert config.get("logging.file.watch") is True


@pytest.mark.parametrize("path", ["none", "a.none", "a.b.none", "a.b.c.d"])
def test_what_is_not_there_is_the_default_as_given(configure, path):
    configure("a: {b: 5}")
    assert config.get(path, "7", int) == "7"
    with pytest.raises(ConfigError) as caught:
        config.get(path)
    assert caught.value.message == f"missing config value: {path}"


@pytest.mark.parametrize(
    ("yaml", "as_type", "expected"),
    [
        ("{x: 1}", dict, {"x": 1}),
        ("[1, 2]", list, [1, 2]),
        ("yes", bool, True),
        ("off", bool, False),
        ("'12'", int, 12),
        ("10.9", int, 10),
        ("3", float, 3.0),
        ("12", str, "12"),
        ("text", None, "text"),
    ],
)
def test_values_are_converted(configure, yaml, as_type, expected):
    configure(f"a: {yaml}")
    found = config.get("a", as_type=as_type)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("yaml", "as_type", "text"),
    [
        ("[1]", dict, "mapping expected"),
        ("{x: 1}", list, "sequence expected"),
        ("word", list, "sequence expected"),
        ("1", bool, "boolean expected"),
        ("'true'", bool, "boolean expected"),
        ("[1]", int, "scalar expected"),
        ("{x: 1}", str, "scalar expected"),
        ("x", int, "int expected"),
        ("x", float, "float expected"),
        (".inf", int, "int expected"),
    ],
)
def test_values_of_the_wrong_type_are_refused(configure, yaml, as_type, text):
    configure(f"a: {yaml}")
    with pytest.raises(ConfigValueError) as caught:
        config.get("a", as_type=as_type)
    assert caught.value.message == f"invalid config value for a: {text}"


def test_other_types_cannot_be_asked_for(configure):
    configure("a: 1")
    with pytest.raises(ValueError, match="unsupported type"):
        config.get("a", as_type=complex)


def test_null_is_no_value_for_scalars_and_empty_for_mappings_and_sequences(configure):
    configure("a:\nb: {c: }")
    assert config.get("a", "default", str) == "default"
    assert config.get("a", as_type=dict) == {}
    assert config.get("a", as_type=list) == []
    assert config.get_int("b.c", 5) == 5
    with pytest.raises(ConfigError, match="missing config value: a"):
        config.get("a")


def test_changing_what_was_returned_does_not_change_the_configuration(configure):
    configure("a: {l: [1]}")
    config.get("a", as_type=dict)["l"].append(2)
    config.get("a")["x"] = 1
    assert config.get("a") == {"l": [1]}


def test_bounds_are_inclusive_and_the_default_need_not_meet_them(configure):
    configure("a: 5")
    assert config.get_int("a", 1, min=5, max=5) == 5
    assert config.get_int("none", -1, min=0) == -1
    assert config.get_float("none", None, min=0) is None


@pytest.mark.parametrize(
    ("getter", "bounds", "text"),
    [
        (config.get_int, {"min": 6}, 'config parameter "a" too small: 5 < 6'),
        (config.get_int, {"max": 4}, 'config parameter "a" too large: 5 > 4'),
        (config.get_float, {"min": 5.5}, 'config parameter "a" too small: 5.0 < 5.5'),
        (config.get_float, {"max": 4.5}, 'config parameter "a" too large: 5.0 > 4.5'),
    ],
)
def test_out_of_bounds(configure, getter, bounds, text):
    configure("a: 5")
    with pytest.raises(ConfigValueError) as caught:
        getter("a", 1, **bounds)
    assert caught.value.message == text


def test_not_a_number_is_within_no_bounds(configure):
    configure("a: .nan")
    with pytest.raises(ConfigValueError):
        config.get_float("a", 1, min=0)


@pytest.mark.parametrize(
    ("yaml", "size"),
    [("3.3k", 3379), ("4M", 4 * 2**20), ("16G", 16 * 2**30), ("5000", 5000), ("1.9", 1)],
)
def test_sizes(configure, yaml, size):
    configure(f"a: {yaml}")
    assert config.get_bytes("a") == size


@pytest.mark.parametrize("yaml", ["0", "-1", "0.5", "4m", "4K", "M", "x", "1e400", "[1]", ".nan"])
def test_bad_sizes(configure, yaml):
    configure(f"a: {yaml}")
    with pytest.raises(ConfigValueError) as caught:
        config.get_bytes("a", "4M")
    assert caught.value.message == 'invalid value for "a"'


def test_default_sizes_are_interpreted_the_same_way():
    assert config.get_bytes("none", "4k") == 4096
    with pytest.raises(ConfigError, match="missing config value: none"):
        config.get_bytes("none")


def test_all_defaults_of_the_table_pass_the_daemon_test(configure):
    configure("")
    config.check_daemon_config()
    assert config.value("daemon.update_interval") == 60
    assert config.value("daemon.batch_bytes") == 4 * 2**30
    assert config.value("daemon.prom_client_port") is None
    assert config.value("daemon.remote_shell") == ["ssh"]


@pytest.mark.parametrize(
    ("yaml", "key"),
    [
        ("daemon: {auto_verify_min_days: x}", "daemon.auto_verify_min_days"),
        ("daemon: {update_interval: -1}", "daemon.update_interval"),
        ("daemon: {auto_import_interval: 0}", "daemon.auto_import_interval"),
        ("daemon: {pull_timeout_base: -0.1}", "daemon.pull_timeout_base"),
        ("daemon: {pull_bytes_per_second: -1}", "daemon.pull_bytes_per_second"),
        ("daemon: {prom_client_port: 0}", "daemon.prom_client_port"),
        ("daemon: {prom_client_port: 65536}", "daemon.prom_client_port"),
        ("daemon: {batch_files: 0}", "daemon.batch_files"),
        ("daemon: {batch_bytes: 4T}", "daemon.batch_bytes"),
        ("daemon: {pull_order: random}", "daemon.pull_order"),
        ("daemon: {route_transfers: -1}", "daemon.route_transfers"),
        ("daemon: {remote_shell: 'ssh \"'}", "daemon.remote_shell"),
        ("daemon: {remote_shell: ''}", "daemon.remote_shell"),
        ("daemon: 5", "daemon"),
        ("base: [x]", "base"),
        ("extensions: x", "extensions"),
        ("database: x", "database"),
        ("database: {unquote: 1}", "database.unquote"),
        ("logging: {level: loud}", "logging.level"),
        ("logging: {syslog: {facility: kitchen}}", "logging.syslog.facility"),
        ("logging: {syslog: {port: -1}}", "logging.syslog.port"),
        ("logging: {file: {max_bytes: 0}}", "logging.file.max_bytes"),
    ],
)
def test_the_daemon_refuses_bad_values_before_it_starts_and_names_the_key(configure, yaml, key):
    configure(yaml)
    with pytest.raises(ConfigValueError) as caught:
        config.check_daemon_config()
    assert key in caught.value.message


def test_each_unknown_key_is_one_warning_that_names_it(configure, caplog):
    configure(
        "base: {hostnam: x}\n"
        "daemon: {num_worker: 2, update_interval: 3}\n"
        "logging: {file: {nam: x}, module_levels: {a.b: INFO}}\n"
        "database: {whatever: 1}\n"
        "site: {own: 1}\n"
    )
    config.warn_unknown_keys()
    named = [message.split('"')[1] for message in caplog.messages]
    assert named == ["base.hostnam", "daemon.num_worker", "logging.file.nam"]
    assert 'Did you mean "daemon.num_workers"?' in caplog.messages[1]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_every_key_has_a_meaning_and_a_unique_name():
    assert len({key.name for key in KEYS}) == len(KEYS)
    assert all(key.meaning.endswith(".") for key in KEYS)


@pytest.mark.parametrize(
    ("yaml", "name"),
    [
        ("base: {hostname: here}", "here"),
        ("daemon: {host: there}", "there"),
        ("base: {hostname: same}\ndaemon: {host: same}", "same"),
        ("base: {hostname: ''}\ndaemon: {host: there}", "there"),
        ("base: {hostname: }", "machine"),
        ("base: {hostname: ''}", "machine"),
        ("", "machine"),
    ],
)
def test_the_host_name(configure, monkeypatch, yaml, name):
    class Uname:
        nodename = "machine.site.example"

    monkeypatch.setattr(host.os, "uname", Uname)
    configure(yaml)
    assert host.get_hostname() == name


def test_two_different_host_names_are_an_error(configure):
    configure("base: {hostname: a}\ndaemon: {host: b}")
    with pytest.raises(ConfigValueError, match=r"base\.hostname .* daemon\.host"):
        host.get_hostname()
