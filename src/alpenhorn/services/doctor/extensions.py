"""The extensions: can each module be imported, and its extensions be used?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from alpenhorn.common import config
from alpenhorn.errors import ConfigError
from alpenhorn.extensions import loader
from alpenhorn.extensions.base import Extension
from alpenhorn.services.doctor.database import ask
from alpenhorn.services.doctor.report import Finding, Findings, Section, within

LIMIT_S = 30.0
"""To import one module."""

_SECTION = Section("Extensions")
_MEND = "Mend it, put its directory on PYTHONPATH, or take it out of `extensions`."


@dataclass
class Loaded:
    """What came of importing the modules; it is reported later, behind the database."""

    findings: list[Finding] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)


def load() -> Loaded:
    """Import all listed modules, and use database extensions, which must come before `connect`."""
    loaded = Loaded()
    try:
        modules = loader.listed_modules()
    except ConfigError:
        return loaded  # reported with the configuration
    for name in dict.fromkeys(modules):
        _load(name, loaded)
    first = [extension for extension in loaded.extensions if extension.stage == 1]
    loaded.findings += _use(first, stage=1)
    return loaded


def check(loaded: Loaded, index_there: bool) -> Findings:
    """Put the other extensions to use, and report on all.

    Args:
        loaded: from `load`.
        index_there: whether the index can be asked for the schemas that extensions need.
    """
    yield from loaded.findings
    later = [extension for extension in loaded.extensions if extension.stage != 1]
    if index_there:
        yield from _use(later, stage=2)
    elif later:
        names = ", ".join(str(extension.full_name) for extension in later)
        yield _SECTION.ok("not checked", f"the schemas of {names}: there is no index to ask")
    if not config.get("extensions", None):
        yield _SECTION.ok("none", "none is configured: this host imports no files")


def _load(name: str, loaded: Loaded) -> None:
    found: list[Extension] = []
    problem = within(LIMIT_S, f"importing {name}", lambda: found.extend(loader.extensions_of(name)))
    if problem:
        loaded.findings.append(_SECTION.problem("module", problem, _MEND))
        return
    loaded.extensions += found
    loaded.findings.append(_SECTION.ok("module", f"{name} loads"))


def _use(extensions: Sequence[Extension], stage: int) -> Findings:
    for extension in extensions:
        name, obstacles = str(extension.full_name), list[str | None]()

        def use(one: Extension = extension, found: list[str | None] = obstacles) -> None:
            found.append(one.obstacle())
            loader.init_extensions([one], stage)

        call = (lambda use=use: ask(use)) if stage > 1 else use
        problem = within(LIMIT_S, f"initialising {name}", call) or next(iter(obstacles), None)
        advice = "Install a version that fits this alpenhorn and index, or take it out."
        text = f"{name}: {problem}" if problem else f"{name} {extension.version}"
        yield _SECTION.judged(not problem, "extension", text, advice)
