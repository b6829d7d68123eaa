"""Make the manual pages, from the commands themselves: one page for each, in `man/`.

    python tools/make_man.py [DIRECTORY]

``man -l man/alpenhorn-node-sync.1`` shows a page. The language is that of man(7).
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import alpenhorn
import page_commands

ROOT = Path(__file__).resolve().parent.parent
MAN = ROOT / "man"

_EXIT_STATUS = """\
0 for success, also if there was nothing to do; 1 for an error, in one line on standard error; \
2 if the command line is wrong. After 2, and after 1 with an error, nothing has been changed.\
"""

_WITH_WAIT = " With --wait: 3 if some of the work failed, 4 if it was not done in time."


def pages() -> dict[str, str]:
    """Return the text of each page by its file name, such as ``alpenhorn-node-sync.1``."""
    everything = dict(page_commands.commands())
    return {
        f"{_title(name)}.{_section(name)}": _page(name, command, list(everything))
        for name, command in everything.items()
    }


def write(directory: Path) -> None:
    """Write all pages."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")
    print(f"Wrote the manual pages in {directory}")


def _page(name: str, command: click.Command, everything: list[str]) -> str:
    title = _title(name)
    first, _, rest = inspect.cleandoc(command.help or "").partition("\n\n")
    version = f"alpenhorn {alpenhorn.__version__}"
    parts = [
        f'.TH "{title.upper()}" "{_section(name)}" "" "{_text(version)}" "alpenhorn"',
        f".SH NAME\n{_text(title)} \\- {_text(' '.join(first.split()).rstrip('.'))}",
        f".SH SYNOPSIS\n.B {_text(name)}\n{_text(_usage(command))}",
        f".SH DESCRIPTION\n{_prose(first)}\n{_prose(rest) if rest else ''}".rstrip(),
        *_options(command),
        *_example(command),
        f".SH EXIT STATUS\n{_text(_exit_status(command))}",
        *_see_also(name, everything),
    ]
    return "\n".join(parts) + "\n"


def _options(command: click.Command) -> Iterator[str]:
    shown = [
        param for param in command.params if isinstance(param, click.Option) and not param.hidden
    ]
    if shown:
        yield ".SH OPTIONS"
    for option in shown:
        spellings = ", ".join(_text(text) for text in [*option.opts, *option.secondary_opts])
        yield f".TP\n\\fB{spellings}\\fR{_value(option)}\n{_text(option.help or '')}"


def _value(option: click.Option) -> str:
    if option.is_flag or option.count:
        return ""
    return f" \\fI{_text(option.make_metavar(click.Context(click.Command('x'))))}\\fR"


def _example(command: click.Command) -> Iterator[str]:
    if example := getattr(command, "example", ""):
        yield f".SH EXAMPLE\n{_verbatim(example)}"


def _exit_status(command: click.Command) -> str:
    waits = any(param.name == "wait" for param in command.params)
    return _EXIT_STATUS + (_WITH_WAIT if waits else "")


def _see_also(name: str, everything: list[str]) -> Iterator[str]:
    """Name the pages above and below this one."""
    above = name.rpartition(" ")[0]
    near = [
        other
        for other in everything
        if other != name and (other == above or other.rpartition(" ")[0] == name)
    ]
    if near:
        references = [f"\\fB{_text(_title(other))}\\fR({_section(other)})" for other in near]
        yield ".SH SEE ALSO\n" + ",\n".join(references)


def _usage(command: click.Command) -> str:
    context = click.Context(command, help_option_names=["-h", "--help"])
    return " ".join(command.collect_usage_pieces(context))


def _prose(text: str) -> str:
    r"""Write paragraphs; one after \b is kept as it is."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(text).strip())
    return "\n".join(
        _verbatim(block[1:].strip("\n")) if block.startswith("\b") else f".PP\n{_text(block)}"
        for block in blocks
    )


def _verbatim(text: str) -> str:
    return f".nf\n{_text(text)}\n.fi"


def _text(text: str) -> str:
    """Escape what roff would act upon: backslashes, dashes, quotes, and dots that begin a line."""
    for character, escape in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq")):
        text = text.replace(character, escape)
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)


def _title(name: str) -> str:
    return name.replace(" ", "-")


def _section(name: str) -> int:
    """Return the section of the manual: the daemon is for administrators."""
    return 8 if name == "alpenhornd" else 1


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else MAN)
