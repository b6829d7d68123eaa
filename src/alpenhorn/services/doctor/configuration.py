"""The configuration: its files, keys, values, and who may read the password."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from alpenhorn.common import config
from alpenhorn.common.config_files import STANDARD_FILES, Place
from alpenhorn.common.config_keys import BY_NAME, SECTIONS
from alpenhorn.common.host import get_hostname
from alpenhorn.common.similar import similar
from alpenhorn.db.engines import PASSWORD_VARIABLE
from alpenhorn.errors import ConfigValueError
from alpenhorn.services.doctor.report import Finding, Findings, Section

_SECTION = Section("Configuration")


def check(conf: str | os.PathLike[str] | None) -> Findings:
    """Load what can be used of the configuration, and say what is wrong with it.

    Args:
        conf: the file given with ``--conf``, or None.
    """
    places = config.load_usable(conf)
    yield from _files(places)
    yield from _keys()
    yield from _values()
    yield from _secrets(places)
    yield from _host()


def _files(places: list[Place]) -> Findings:
    for place in places:
        if place.problem:
            advice = "Correct the file; alpenhorn does not start with it."
            yield _SECTION.problem("file", place.problem, advice)
        elif place.tree is not None:
            yield _SECTION.ok("file", place.path)
        elif place.origin:
            text = f"{place.path}, named {place.origin}, does not exist"
            yield _SECTION.warning("file", text, "Make the file, or name another one.")
    if not any(place.tree is not None or place.problem for place in places):
        advice = f"Make {STANDARD_FILES[0]}; `alpenhorn --help-config` says what belongs into it."
        yield _SECTION.problem("file", "there is no configuration file", advice)


def _keys() -> Findings:
    unknown = [*config.unknown_keys(), *_misspelt("", (*SECTIONS, "extensions"))]
    if not _extensions_listed():  # a database extension defines its own keys
        unknown += _misspelt("database.", [name for name in BY_NAME if name.startswith("database")])
    for name, meant in unknown:
        advice = f"Did you mean {meant}? " if meant else ""
        text = f"{name} is unknown, and ignored"
        yield _SECTION.warning("key", text, f"{advice}Correct it, or take it out.")


def _misspelt(prefix: str, known: list[str] | tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Find keys where others are allowed, but that look like one of ours."""
    tree = config.get(prefix.rstrip("."), {}) if prefix else config.top_level()
    names = [f"{prefix}{name}" for name in tree] if isinstance(tree, (dict, list)) else []
    found = [(name, similar(name, known)) for name in names if name not in known]
    return [(name, meant[0]) for name, meant in found if meant]


def _extensions_listed() -> bool:
    return bool(config.get("extensions", None))


def _values() -> Findings:
    problems = list(config.value_problems())
    for problem in problems:
        advice = "Correct it: `alpenhornd` does not start with it. docs/configuration.md has all."
        yield _SECTION.problem("value", problem, advice)
    if not problems:
        yield _SECTION.ok("values", "can be used")


def _secrets(places: list[Place]) -> Findings:
    path = config.get("database.password_file", None)
    if isinstance(path, str) and not os.environ.get(PASSWORD_VARIABLE):
        yield _password_file(Path(path).expanduser())
    for place in places:
        if place.tree is not None and _has_password(place.tree) and _open_to_others(place.path):
            text = f"others may read {place.path}, which has the password of the database"
            yield _SECTION.warning("password", text, _close(place.path))


def _password_file(path: Path) -> Finding:
    what = "password"
    if not path.is_file() or not os.access(path, os.R_OK):
        text = f"database.password_file cannot be read: {path}"
        return _SECTION.problem(what, text, "Make it, readable for the account of the daemon.")
    if _open_to_others(path):
        return _SECTION.warning(what, f"others may read {path}", _close(path))
    return _SECTION.ok(what, f"{path}, which others cannot read")


def _has_password(tree: dict[object, object]) -> bool:
    section = tree.get("database")
    url = section.get("url") if isinstance(section, dict) else None
    try:
        return bool(urlsplit(str(url or "")).password)
    except ValueError:
        return False


def _open_to_others(path: str | Path) -> bool:
    try:
        return bool(Path(path).stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _close(path: str | Path) -> str:
    return f"chmod o= {quote(str(path))}"


def _host() -> Findings:
    try:
        name = get_hostname()
    except ConfigValueError as error:
        yield _SECTION.problem("host", error.message, "Keep base.hostname, and take the other out.")
        return
    configured = config.get("base.hostname", None) or config.get("daemon.host", None)
    source = "base.hostname" if configured else "the name of the machine; base.hostname is not set"
    yield _SECTION.ok("host", f"{name} ({source})")
