"""The configuration: what is wrong with it is said, all of it, and the rest is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpenhorn.common import config
from alpenhorn.db.engines import PASSWORD_VARIABLE
from alpenhorn.services.doctor import configuration
from alpenhorn.services.doctor.report import Finding, Status

GOOD = "database:\n  url: sqlite:////x.db\n"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "alpenhorn.conf"


def check(conf: Path, text: str) -> list[Finding]:
    conf.write_text(text)
    return list(configuration.check(conf))


def bad(findings: list[Finding]) -> list[tuple[str, str, str]]:
    """Status, text and advice of what is not well."""
    return [(f.status, f.text, f.advice) for f in findings if f.status is not Status.OK]


def test_a_good_configuration(conf: Path) -> None:
    findings = check(conf, f"base:\n  hostname: here\n{GOOD}")
    assert not bad(findings)
    assert [f.text for f in findings if f.what == "host"] == ["here (base.hostname)"]


def test_no_configuration_at_all() -> None:
    ((status, text, advice),) = bad(list(configuration.check(None)))
    assert (status, text) == (Status.PROBLEM, "there is no configuration file")
    assert "/etc/alpenhorn/alpenhorn.conf" in advice


def test_a_broken_file_is_named_and_the_others_are_used(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.conf"
    broken.write_text("base:\n  hostname: [\n")
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", str(broken))
    ((status, text, _),) = bad(check(conf, "base:\n  hostname: here\n"))
    assert status is Status.PROBLEM
    assert f"{broken}, line" in text
    assert config.value("base.hostname") == "here"


def test_a_file_that_was_promised_and_is_not_there(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPENHORN_CONFIG_FILE", str(tmp_path / "none"))
    ((status, text, _),) = bad(check(conf, GOOD))
    assert status is Status.WARNING
    assert text == f"{tmp_path}/none, named by ALPENHORN_CONFIG_FILE, does not exist"


@pytest.mark.parametrize(
    ("text", "named", "meant"),
    [
        ("daemon:\n  num_worker: 3\n", "daemon.num_worker", "daemon.num_workers"),
        ("databse:\n  url: x\n", "databse", "database"),
        ("database:\n  password-file: x\n", "database.password-file", "database.password_file"),
    ],
)
def test_an_unknown_key_with_what_may_be_meant(
    conf: Path, text: str, named: str, meant: str
) -> None:
    ((status, text, advice),) = bad(check(conf, text))
    assert (status, text) == (Status.WARNING, f"{named} is unknown, and ignored")
    assert advice.startswith(f"Did you mean {meant}?")


def test_what_extensions_may_have_is_left_alone(conf: Path) -> None:
    """Top-level sections of extensions, and their own keys of the database."""
    text = "extensions: [x]\ninstrument:\n  a: 1\ndatabase:\n  password-file: x\n"
    assert not bad(check(conf, text))


def test_all_wrong_values_are_named_at_once(conf: Path) -> None:
    text = "daemon:\n  num_workers: many\n  update_interval: -1\nlogging: 3\n"
    texts = [text for _, text, _ in bad(check(conf, text))]
    assert len(texts) == 3
    assert "logging" in texts[0]
    assert "daemon.num_workers" in texts[1]
    assert "daemon.update_interval" in texts[2]


def test_two_names_of_the_host(conf: Path) -> None:
    ((status, text, _),) = bad(check(conf, "base:\n  hostname: a\ndaemon:\n  host: b\n"))
    assert status is Status.PROBLEM
    assert "differ" in text


@pytest.mark.parametrize(("mode", "status"), [(0o600, None), (0o640, None), (0o644, "warning")])
def test_who_may_read_the_password_file(conf: Path, mode: int, status: str | None) -> None:
    secret = conf.with_name("secret")
    secret.write_text("hunter2\n")
    secret.chmod(mode)
    found = bad(check(conf, f"{GOOD}  password_file: {secret}\n"))
    assert [found_status for found_status, _, _ in found] == ([status] if status else [])
    if status:
        assert found[0][2] == f"chmod o= {secret}"


def test_a_password_file_that_is_not_there(conf: Path) -> None:
    ((status, text, _),) = bad(check(conf, f"{GOOD}  password_file: /nowhere/secret\n"))
    assert status is Status.PROBLEM
    assert text.endswith(" cannot be read: /nowhere/secret")


def test_the_environment_goes_before_the_password_file(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "hunter2")
    assert not bad(check(conf, f"{GOOD}  password_file: /nowhere/secret\n"))


def test_a_password_in_a_file_that_all_may_read(conf: Path) -> None:
    conf.touch(0o644)
    findings = check(conf, "database:\n  url: mysql://me:hunter2@db/index\n")
    ((status, text, _),) = bad(findings)
    assert status is Status.WARNING
    assert str(conf) in text
    assert "hunter2" not in repr(findings)
