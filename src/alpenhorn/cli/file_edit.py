"""``file create`` and ``file modify`` (spec: cli.md §7.2, §7.6)."""

from __future__ import annotations

from pathlib import Path

import click

from alpenhorn.cli import options
from alpenhorn.cli.command import command, exclusive, one_of, requires, together
from alpenhorn.cli.file_options import at_least_one
from alpenhorn.common.logger import echo
from alpenhorn.services import files

_md5_option = options.field("--md5", metavar="HASH", help="MD5 hash: 32 hexadecimal digits.")
_size_option: options.Decorator = click.option(
    "--size", "size_b", metavar="SIZE", type=int, help="Size in bytes."
)


@command(
    "create",
    together("md5", "size_b"),
    exclusive("from_file", "md5"),
    one_of("md5", "from_file"),
    requires("prefix", "from_file"),
    example="alpenhorn file create notes.txt 2025/02/21 \\\n"
    "    --size 12 --md5 4c79018e00ddef11af0b9cfc14dd3261",
)
@click.argument("name")
@click.argument("acq")
@_md5_option
@_size_option
@options.flag("--from-file", help="Compute MD5 hash and size from the file PREFIX/ACQ/NAME here.")
@click.option(
    "--prefix",
    metavar="PREFIX",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Directory for --from-file; the current one if not given.",
)
def create(
    name: str, acq: str, md5: str | None, size_b: int | None, from_file: bool, prefix: Path
) -> None:
    """Register a file NAME of the acquisition ACQ, without any copy."""
    if from_file or md5 is None or size_b is None:
        path = files.create_from_local(name, acq, prefix)
    else:
        path = files.create(name, acq, md5, size_b)
    echo(f"Registered File {path}")


@command(
    "modify",
    at_least_one(md5="--md5", size_b="--size"),
    example="alpenhorn file modify 2025/02/21/meta.txt --size 52",
)
@click.argument("file")
@_md5_option
@_size_option
@options.flag("--no-reverify", help="Do not have copies checked against the new values.")
def modify(file: str, md5: str | None, size_b: int | None, no_reverify: bool) -> None:
    """Correct the MD5 hash or the size of FILE, and have its copies checked again."""
    modified = files.modify(file, md5, size_b, recheck=not no_reverify)
    if not modified.changed:
        echo("No change.")
    elif no_reverify:
        echo("File updated. Re-verification was skipped.")
    elif not modified.recheck:
        echo("File updated. No copies need re-verification.")
    else:
        copies = "1 copy" if modified.recheck == 1 else f"{modified.recheck} copies"
        echo(f"File updated. {copies} will be re-verified.")
