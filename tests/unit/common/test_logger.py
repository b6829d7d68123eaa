"""Formats, levels and destinations of the log, and what the command line prints."""

import contextlib
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from alpenhorn.common import log_destinations, logger
from alpenhorn.errors import ConfigError, ConfigValueError

LINE = re.compile(r"[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d INFO >> \[MainThread\] (.*)")


@pytest.fixture(autouse=True)
def clean_logging(monkeypatch):
    """Undo what the functions under test do to the process, and what earlier tests have done."""
    root = logging.getLogger()
    level = root.level
    for handler in logger._state.handlers():
        root.removeHandler(handler)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logger, "_state", logger._State())
    yield
    logger._set_levels("WARNING", {})
    for handler in logger._state.handlers():
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


@pytest.fixture
def utc(monkeypatch):
    """A machine in UTC-5 at a fixed moment."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def record(text, created=0.0):
    made = logging.LogRecord("x", logging.INFO, "", 0, text, (), None)
    made.created = created
    return made


def test_daemon_lines_look_like_the_walkthrough(utc):
    formatter = logger.Formatter(cli=False)
    line = formatter.format(record("Alpenhorn start.", 1740116312))  # 2025-02-21 05:38:32 UTC
    assert line == "Feb 21 00:38:32 INFO >> [MainThread] Alpenhorn start."
    formatter.use_utc(True)
    line = formatter.format(record("Alpenhorn start.", 1740116312))
    assert line == "Feb 21 05:38:32 INFO >> [MainThread] Alpenhorn start."


def test_command_line_messages_have_no_time_and_no_thread(capsys):
    logger.init_logging(cli=True)
    logging.getLogger("x").warning("text")
    assert capsys.readouterr().err == "WARNING >> text\n"


@pytest.mark.parametrize(
    ("verbosity", "shown", "output"),
    [
        (1, ["ERROR"], ""),
        (2, ["ERROR", "WARNING"], ""),
        (3, ["ERROR", "WARNING"], "hello\n"),
        (4, ["ERROR", "WARNING", "INFO"], "hello\n"),
        (5, ["ERROR", "WARNING", "INFO", "DEBUG"], "hello\n"),
    ],
)
def test_verbosity(capsys, verbosity, shown, output):
    logger.init_logging(cli=True, verbosity=verbosity)
    for level in ("ERROR", "WARNING", "INFO", "DEBUG"):
        logging.getLogger("x").log(getattr(logging, level), "text")
    logger.echo("hello")
    captured = capsys.readouterr()
    assert captured.out == output
    assert captured.err.splitlines() == [f"{level} >> text" for level in shown]


@pytest.mark.parametrize("n", [0, 6, -1])
def test_bad_verbosity(n):
    with pytest.raises(ValueError, match=f"Bad verbosity: {n}"):
        logger.set_verbosity(n)


def test_setting_up_twice_does_not_double_the_lines(capsys):
    logger.init_logging(cli=True)
    logger.init_logging(cli=True)
    logging.getLogger("x").warning("text")
    assert capsys.readouterr().err == "WARNING >> text\n"


def test_the_command_line_takes_nothing_from_the_configuration(configure, capsys):
    configure("logging: {level: nonsense, file: {name: /no/such/directory/log}}")
    logger.init_logging(cli=True)
    logger.configure_logging()
    assert capsys.readouterr().err == ""


def start_daemon_log(configure, text):
    logger.init_logging(cli=False)
    logging.getLogger("alpenhorn").info("Alpenhorn start.")
    configure(text)
    logger.configure_logging()


def messages(path):
    return [LINE.fullmatch(line).group(1) for line in path.read_text().splitlines()]


def test_the_log_file_begins_with_the_first_record_of_the_daemon(configure, tmp_path, capsys):
    path = tmp_path / "log"
    start_daemon_log(configure, f"logging: {{file: {{name: {path}}}}}")
    logging.getLogger("x").info("later")
    expected = ["Alpenhorn start.", f"Loading config file {tmp_path}/test.conf"]
    expected += [f"Logging to {path}", "later"]
    assert messages(path) == expected
    on_stderr = [LINE.fullmatch(line).group(1) for line in capsys.readouterr().err.splitlines()]
    assert on_stderr == expected


def test_kept_records_reach_the_file_whatever_their_level(configure, tmp_path):
    path = tmp_path / "log"
    start_daemon_log(configure, f"logging: {{level: error, file: {{name: {path}}}}}")
    logging.getLogger("x").info("later")
    assert messages(path)[0] == "Alpenhorn start."
    assert "later" not in path.read_text()


def test_no_more_than_ten_thousand_records_are_kept(monkeypatch):
    assert logger.KEPT_RECORDS == 10_000
    monkeypatch.setattr(logger, "KEPT_RECORDS", 2)
    keeper = logger._Keeper()
    for n in range(5):
        keeper.emit(record(str(n)))
    assert [r.getMessage() for r in keeper.records] == ["0", "1"]


def test_levels_of_loggers_with_dots_in_their_names(configure):
    levels = "{alpenhorn.db: debug, peewee: Warning, quiet: }"
    start_daemon_log(configure, f"logging: {{level: error, module_levels: {levels}}}")
    assert logging.getLogger().level == logging.ERROR
    assert logging.getLogger("alpenhorn.db.archive").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("alpenhorn.io").isEnabledFor(logging.WARNING)
    assert not logging.getLogger("peewee").isEnabledFor(logging.INFO)
    assert logging.getLogger("quiet").level == logging.NOTSET


def test_configuring_again_takes_back_former_levels(configure):
    start_daemon_log(configure, "logging: {module_levels: {alpenhorn.db: DEBUG}}")
    configure("logging: {level: ERROR}")
    logger.configure_logging()
    assert not logging.getLogger("alpenhorn.db").isEnabledFor(logging.WARNING)


@pytest.mark.parametrize(
    ("yaml", "text"),
    [
        ("level: loud", '"loud" is not one of DEBUG, INFO'),
        ("module_levels: {x: loud}", r"logging\.module_levels\.x"),
        ("module_levels: {alpenhorn: {db: DEBUG}}", "write names with dots in full"),
        ("file: {watch: true}", r"missing config value: logging\.file\.name"),
        (
            "file: {name: x, watch: true, rotate: true}",
            r"logging\.file\.rotate and logging\.file\.watch both true in config",
        ),
        (
            "syslog: {facility: kitchen}",
            r"unknown facility kitchen in logging\.syslog\.facility",
        ),
        ("syslog: {port: 65536}", r"logging\.syslog\.port"),
        ("file: {name: /no/such/directory/log}", "/no/such/directory/log: No such file"),
    ],
)
def test_bad_values_are_one_line(configure, yaml, text):
    with pytest.raises(ConfigError, match=text):
        start_daemon_log(configure, f"logging: {{{yaml}}}")


def test_a_bad_level_is_a_value_error_too(configure):
    with pytest.raises(ValueError, match="loud"):
        start_daemon_log(configure, "logging: {level: loud}")
    assert issubclass(ConfigValueError, ValueError)


@pytest.mark.parametrize("mode", ["", ", watch: true"])
def test_after_the_file_was_moved_away_the_log_goes_on_in_a_new_one(configure, tmp_path, mode):
    path = tmp_path / "log"
    start_daemon_log(configure, f"logging: {{file: {{name: {path}{mode}}}}}")
    path.rename(tmp_path / "log.old")
    logger.reopen_log_files()
    logging.getLogger("x").info("after")
    assert messages(path) == ["after"]


def test_a_file_that_cannot_be_reopened_is_kept(configure, tmp_path, capsys):
    directory = tmp_path / "logs"
    directory.mkdir()
    start_daemon_log(configure, f"logging: {{file: {{name: {directory}/log}}}}")
    directory.rename(tmp_path / "moved")
    logger.reopen_log_files()
    logging.getLogger("x").info("after")
    assert messages(tmp_path / "moved" / "log")[-1] == "after"
    assert "Cannot re-open log file" in capsys.readouterr().err


def test_rotation_keeps_the_newest_files(configure, tmp_path, capsys):
    path = tmp_path / "log"
    options = f"{{name: {path}, rotate: true, max_bytes: 1k, backup_count: 2}}"
    start_daemon_log(configure, f"logging: {{file: {options}}}")
    assert f"Logging to [rotating] {path}" in capsys.readouterr().err
    for n in range(100):
        logging.getLogger("x").info("record %d", n)
    assert sorted(p.name for p in tmp_path.glob("log*")) == ["log", "log.1", "log.2"]
    assert all(p.stat().st_size <= 1024 for p in tmp_path.glob("log*"))
    assert messages(path)[-1] == "record 99"


def test_file_names_that_are_no_utf8_reach_all_destinations(configure, tmp_path):
    path = tmp_path / "log"
    start_daemon_log(configure, f"logging: {{file: {{name: {path}}}}}")
    logging.getLogger("x").info("bad \udcff name")
    assert messages(path)[-1] == "bad \\udcff name"


def test_a_failing_destination_is_mentioned_once_and_stops_nothing(configure, tmp_path, capsys):
    path = tmp_path / "log"
    start_daemon_log(configure, f"logging: {{file: {{name: {path}}}}}")
    handler = logger._state.destinations[0]
    full = Path("/dev/full").open("w")  # noqa: SIM115
    good = handler.setStream(full)
    capsys.readouterr()
    for _ in range(3):
        logging.getLogger("x").info("text")
    handler.stream = good
    with contextlib.suppress(OSError):
        full.close()
    logging.getLogger("x").info("works again")
    lines = capsys.readouterr().err.splitlines()
    complaints = [line for line in lines if f"Cannot write to log file {path}" in line]
    assert len(complaints) == 1
    assert "No space left on device" in complaints[0]
    assert messages(path)[-1] == "works again"


def test_syslog_over_udp(configure, capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        port = server.getsockname()[1]
        options = f"{{address: 127.0.0.1, port: {port}, facility: LOCAL0}}"
        start_daemon_log(configure, f"logging: {{syslog: {options}}}")
        first = server.recv(1000)
    # RFC 5424 §6.2.1: facility 16 (local0) * 8 + severity 6 (informational)
    assert re.fullmatch(rb"<134>.* INFO >> \[MainThread\] Alpenhorn start\.\0", first)
    announcement = f"Logging to syslog at 127.0.0.1:{port} via UDP as facility local0"
    assert announcement in capsys.readouterr().err


def test_syslog_over_a_unix_socket(configure, tmp_path, capsys):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.settimeout(20)
        start_daemon_log(configure, f"logging: {{syslog: {{address: {path}, port: 0}}}}")
        assert b"Alpenhorn start." in server.recv(1000)
    assert f"Logging to syslog socket {path} as facility user" in capsys.readouterr().err


def test_syslog_over_tcp_comes_back_after_the_server_was_away(configure, monkeypatch, capsys):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(
        log_destinations, "time", SimpleNamespace(monotonic=lambda: clock.now, time=time.time)
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"{{address: 127.0.0.1, port: {port}, use_tcp: true}}"
    start_daemon_log(configure, f"logging: {{syslog: {options}}}")
    err = capsys.readouterr().err
    assert err.count("Cannot write to syslog") == 1
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(20)
        logging.getLogger("x").info("too early")
        clock.now += log_destinations._RETRY_SECONDS
        logging.getLogger("x").info("two\nlines")
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            assert stream.readline().endswith(b"] two#012lines\n")


def test_syslog_can_be_switched_off(configure, capsys):
    start_daemon_log(configure, "logging: {syslog: {enable: false}}")
    assert logger._state.destinations == []
    assert "Logging to" not in capsys.readouterr().err


@pytest.mark.parametrize("where", ["main", "thread"])
def test_uncaught_exceptions_of_the_daemon_are_logged(where):
    code = (
        "import threading; from alpenhorn.common import logger\n"
        "logger.init_logging(cli=False)\n"
        "def bad(): raise RuntimeError('why')\n"
    )
    code += "bad()" if where == "main" else "threading.Thread(target=bad).start()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    text = "Fatal error!" if where == "main" else "Thread ended!"
    assert (
        f"ERROR >> [{'MainThread' if where == 'main' else 'Thread-1 (bad)'}] {text}" in done.stderr
    )
    assert "RuntimeError: why" in done.stderr


def test_the_command_line_starts_without_slow_libraries():
    code = (
        "import sys; import alpenhorn.common.logger, alpenhorn.common.host\n"
        "slow = {'yaml', 'prometheus_client', 'logging.handlers', 'socket', 'subprocess'}\n"
        "print(sorted(slow & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
