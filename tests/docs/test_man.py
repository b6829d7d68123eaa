"""The manual pages: there is one for each command, and a manual viewer takes them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import make_man
import page_commands

PAGES = make_man.pages()


def test_each_command_has_a_page() -> None:
    assert "alpenhorn.1" in PAGES
    assert "alpenhorn-node-sync.1" in PAGES
    assert "alpenhornd.8" in PAGES
    assert len(PAGES) == len(dict(page_commands.commands()))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_sections_of_a_manual(name: str) -> None:
    """Only macros of man(7) begin lines; what the text itself begins with a dot is escaped."""
    text = PAGES[name]
    assert text.startswith(".TH ")
    sections = re.findall(r"^\.SH (.*)$", text, re.MULTILINE)
    assert sections[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert "EXIT STATUS" in sections
    macros = {line.split()[0] for line in text.splitlines() if line.startswith((".", "'"))}
    assert macros <= {".TH", ".SH", ".B", ".TP", ".PP", ".nf", ".fi"}
    stem = name.rpartition(".")[0].replace("-", "\\-")
    assert f".SH NAME\n{stem} \\- " in text


def test_a_page_has_options_and_example() -> None:
    text = PAGES["alpenhorn-node-sync.1"].replace("\\-", "-")
    assert "\n\\fB-F, --file-list\\fR \\fIPATH\\fR\n" in text
    assert "\n.SH EXAMPLE\n.nf\nalpenhorn node sync demo_storage1 " in text
    assert "\n.SH SEE ALSO\n\\fBalpenhorn-node\\fR(1)" in text


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
@pytest.mark.parametrize(
    "name", ["alpenhorn.1", "alpenhorn-node-sync.1", "alpenhorn-file-create.1"]
)
def test_groff_renders_a_page(name: str, tmp_path: Path) -> None:
    """Without a warning, and with the example as it is typed."""
    make_man.write(tmp_path)
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-P-cbou", str(tmp_path / name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    assert "SYNOPSIS" in done.stdout
    if name == "alpenhorn-file-create.1":
        assert "alpenhorn file create notes.txt 2025/02/21 \\\n" in done.stdout
        assert " --size 12 --md5 4c79018e00ddef11af0b9cfc14dd3261\n" in done.stdout
