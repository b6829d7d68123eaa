"""The documentation is complete, fresh, and its links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

import make_docs
import page_commands
import page_events
from alpenhorn.common import config
from alpenhorn.common.config_keys import KEYS

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("*.md", "docs/*.md", "examples/*.md", "packaging/*.md")
PAGES = sorted(page for place in PLACES for page in ROOT.glob(place))


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", make_docs.PAGES)
def test_generated_page_is_what_it_would_be_now(path: str) -> None:
    """A page that describes commands, keys or events describes those of this version."""
    assert read(path) == make_docs.PAGES[path](), "stale; run `make docs`"


def test_every_command_and_option_has_its_place() -> None:
    """Whoever looks for a command or an option finds it on the page of commands."""
    page = read("docs/commands.md")
    for name, command in page_commands.commands():
        section = page.split(f"# {name}\n")[1].split("\n##")[0]
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden:
                for spelling in [*param.opts, *param.secondary_opts]:
                    assert f"`{spelling}`" in section, f"{name} {spelling}"


def test_every_command_and_option_is_explained() -> None:
    """No command and no option is listed without a word about what it does."""
    for name, command in page_commands.commands():
        assert command.help, name
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, f"{name} {param.opts}"


def test_every_key_is_explained() -> None:
    """Whoever looks for a configuration key finds it, with its meaning, on the page of keys."""
    page = read("docs/configuration.md")
    for key in KEYS:
        assert key.meaning, key.name
        assert f"| `{key.name}` |" in page


def test_every_event_is_explained() -> None:
    """Whoever wants to listen finds each event and its fields."""
    page = read("docs/events.md")
    for kind in page_events.kinds():
        assert kind.__doc__, kind
        assert f"## {kind.__name__}\n" in page


def uncommented_example() -> str:
    """Take the '#' out before every key of the example file."""
    lines = read("examples/alpenhorn.conf").splitlines()
    return "\n".join(re.sub(r"^( *)#(?=\w)", r"\1", line) for line in lines)


def leaves(tree: object, path: str = "") -> Iterator[str]:
    if isinstance(tree, dict) and path != "logging.module_levels":
        for name, below in tree.items():
            yield from leaves(below, f"{path}.{name}" if path else str(name))
    else:
        yield path


def test_example_file_holds_every_key() -> None:
    """The example is complete: it has each key that is not only the name of a section."""
    holders = {key.name.rpartition(".")[0] for key in KEYS}
    wanted = {key.name for key in KEYS} - holders
    assert set(leaves(yaml.safe_load(uncommented_example()))) == wanted


@pytest.mark.parametrize("text", [read("examples/alpenhorn.conf"), uncommented_example()])
def test_daemon_accepts_the_example_file(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The example works as it is, and with every key set to what it shows."""
    path = tmp_path / "alpenhorn.conf"
    path.write_text(text)
    config.load_config(str(path), cli=False)
    config.check_daemon_config()
    config.warn_unknown_keys()
    assert not caplog.records


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link leads to a file of the repository, and to a heading if it names one."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target
