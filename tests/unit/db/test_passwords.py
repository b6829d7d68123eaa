"""The password of the database account need not be in the configuration, and is never shown."""

from __future__ import annotations

import logging

import peewee as pw
import pytest

from alpenhorn.db import engines

SECRET = "s3cret word"
URL = "://keeper@127.0.0.1:1/index"


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(engines.PASSWORD_VARIABLE, raising=False)


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\nwhat comes after the first line is a note\n")
    return path


def password_of(**section):
    return engines.make(section).connect_params.get("password")


@pytest.mark.parametrize("scheme", ["mysql", "mysql+pool", "postgresql", "postgres+pool"])
def test_the_password_is_taken_from_a_file(scheme, password_file):
    assert password_of(url=scheme + URL, password_file=str(password_file)) == SECRET


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_the_password_is_taken_from_the_environment(scheme, monkeypatch):
    monkeypatch.setenv(engines.PASSWORD_VARIABLE, SECRET)
    assert password_of(url=scheme + URL) == SECRET


def test_environment_goes_before_file_and_file_before_url(monkeypatch, password_file):
    url = "mysql://keeper:written@127.0.0.1:1/index"
    assert password_of(url=url) == "written"
    assert password_of(url=url, password_file=str(password_file)) == SECRET
    monkeypatch.setenv(engines.PASSWORD_VARIABLE, "exported")
    assert password_of(url=url, password_file=str(password_file)) == "exported"


def test_a_password_that_was_just_typed_goes_first(monkeypatch, password_file):
    monkeypatch.setenv(engines.PASSWORD_VARIABLE, "exported")
    section = {"url": "mysql://keeper:typed@127.0.0.1:1/index", "password_file": str(password_file)}
    database = engines.make(section, prefer_written=True)
    assert database.connect_params["password"] == "typed"
    section["url"] = "mysql" + URL
    database = engines.make(section, prefer_written=True)
    assert database.connect_params["password"] == "exported"


def test_a_home_directory_in_the_path_is_understood(monkeypatch, password_file):
    monkeypatch.setenv("HOME", str(password_file.parent))
    assert password_of(url="postgresql" + URL, password_file="~/password") == SECRET


def test_sqlite_has_no_password(monkeypatch, tmp_path):
    monkeypatch.setenv(engines.PASSWORD_VARIABLE, SECRET)
    database = engines.make({"url": f"sqlite:///{tmp_path / 'index.db'}"})
    assert database.execute_sql("SELECT 1").fetchone() == (1,)
    database.close()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        pw.OperationalError, match=r"password_file cannot be read: .*/none: No such"
    ):
        password_of(url="mysql" + URL, password_file=str(tmp_path / "none"))


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(pw.OperationalError, match=r"has no password: .*/empty"):
        password_of(url="mysql" + URL, password_file=str(tmp_path / "empty"))


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
@pytest.mark.parametrize("place", ["url", "file", "environment"])
def test_no_message_shows_the_password(scheme, place, password_file, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    section = {"url": scheme + URL}
    if place == "url":
        section["url"] = f"{scheme}://keeper:s3cret%20word@127.0.0.1:1/index"
        section["unquote"] = True
    elif place == "file":
        section["password_file"] = str(password_file)
    else:
        monkeypatch.setenv(engines.PASSWORD_VARIABLE, SECRET)
    database = engines.make(section)
    assert database.connect_params["password"] == SECRET
    with pytest.raises(pw.OperationalError) as caught:
        database.connect()
    said = f"{caught.value!r} {caught.value} {caught.value.__cause__} {database!r} {caplog.text}"
    assert "s3cret" not in said


@pytest.mark.parametrize(
    "url",
    [
        "mysql://keeper:s3cret@h/index?no_such_option=1",
        "mysql://keeper:s3cret@h/index?ssl_ca=/no/such/file",
        "postgresql://keeper:s3cret@127.0.0.1:1/index?no_such_option=1",
        "postgresql://keeper:s3cret@127.0.0.1:1/index?sslmode=sometimes",
    ],
)
def test_an_option_that_the_driver_refuses_is_a_database_error(url):
    with pytest.raises((pw.OperationalError, pw.ProgrammingError)) as caught:
        engines.make({"url": url}).connect()
    assert "s3cret" not in str(caught.value)
