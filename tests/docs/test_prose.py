"""What the hand-written pages name exists: commands, options, keys, code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import page_commands
from alpenhorn.common.config_keys import BY_NAME
from alpenhorn.extensions.base import Extension

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"commands.md", "configuration.md", "events.md"}
PROSE = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(page for page in ROOT.glob("docs/*.md") if page.name not in GENERATED),
]


def code(page: Path) -> Iterator[str]:
    """Yield inline code and the lines of console blocks, without their prompts."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        yield from (line[2:] for line in block.splitlines() if line.startswith("$ "))
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (" ".join(found.split()) for found in re.findall(r"`([^`]+)`", text))


def problems(line: str) -> list[str]:
    """Say what a command line names that does not exist."""
    known = dict(page_commands.commands())
    words = shlex.split(line.partition("#")[0], posix=False)
    name = words.pop(0)
    while words and f"{name} {words[0]}" in known:
        name += f" {words.pop(0)}"
    command = known[name]
    spellings = {s for param in command.params for s in [*param.opts, *param.secondary_opts]}
    unknown = [w for w in words if w.startswith("--") and w.partition("=")[0] not in spellings]
    if isinstance(command, click.Group):
        unknown += [w for w in words[:1] if re.fullmatch("[a-z]+", w)]
    return [f"{name} {word}" for word in unknown if word != "--help"]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_commands_in_the_text_exist(page: Path) -> None:
    """Whoever types a command from a page gets no usage error."""
    for line in code(page):
        if re.match(r"alpenhornd?( [a-z-]|$)", line):
            assert not problems(line), line


def test_a_command_that_does_not_exist_is_noticed() -> None:
    """The test above would fail for a wrong noun, command or option."""
    assert problems("alpenhorn acq destroy X") == ["alpenhorn acq destroy"]
    assert problems("alpenhorn node scan N --everything") == ["alpenhorn node scan --everything"]
    assert problems("alpenhorn node clean N --now --target=G") == []


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_keys_in_the_text_exist(page: Path) -> None:
    """Whoever looks up a key that a page names finds it."""
    for text in code(page):
        if re.fullmatch(r"(base|daemon|database|logging)\.(?!py$)[a-z_.]+", text):
            assert text in BY_NAME


def python_blocks() -> list[str]:
    text = (ROOT / "docs" / "extensions.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_extensions_in_the_text_work() -> None:
    """Whoever copies an extension from the page has one that alpenhorn takes."""
    registered: list[Any] = []
    for block in python_blocks():
        names: dict[str, Any] = {}
        exec(block, names)
        registered += names["register_extensions"]()
    extensions = [item for item in registered if isinstance(item, Extension)]
    assert [item.name for item in extensions] == ["H5", "Quota"]
