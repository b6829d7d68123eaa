"""The program `alpenhorn`: global options, and how it ends (spec: cli.md §2).

Nothing heavy is imported here: help and version texts need neither configuration nor database.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from alpenhorn.cli.lazy import LazyGroup
from alpenhorn.cli.settings import Settings, verbosity
from alpenhorn.services import about

NOUNS = {name: f"alpenhorn.cli.{name}:{name}" for name in ("acq", "db", "file", "group", "node")}
NOUNS["completion"] = "alpenhorn.cli.completion:completion"
NOUNS["doctor"] = "alpenhorn.cli.doctor:doctor"
NOUNS["demo"] = "alpenhorn.demo.command:demo"


class ConfigFile(click.Path):
    """An existing file; ``~`` and variables in its name are replaced, as in its later use."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check that the file exists; return its name as given."""
        super().convert(os.path.expandvars(os.path.expanduser(value)), param, ctx)  # noqa: PTH111
        return value


def _show_and_exit(
    text: Callable[[], str],
) -> Callable[[click.Context, click.Parameter, bool], None]:
    """Make the callback of an option that prints something at once."""

    def callback(ctx: click.Context, _param: click.Parameter, given: bool) -> None:
        if given and not ctx.resilient_parsing:
            click.echo(text())
            ctx.exit()

    return callback


@click.group(
    cls=LazyGroup,
    members=NOUNS,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_and_exit(lambda: about.version_text("alpenhorn")),
    help="Show version information and exit.",
)
@click.option(
    "-c",
    "--conf",
    metavar="FILE",
    type=ConfigFile(exists=True),
    help="Read this configuration file too, after all others.",
)
@click.option("-q", "--quiet", count=True, help="Say less; may be repeated.")
@click.option("-v", "--verbose", count=True, help="Say more; may be repeated.")
@click.option("--debug", is_flag=True, help="Say as much as possible.")
@click.option(
    "--test-isolation", is_flag=True, help="Do not read the standard configuration files."
)
@click.option(
    "--help-config",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_and_exit(lambda: about.HELP_CONFIG),
    help="Explain how alpenhorn is configured and exit.",
)
@click.pass_context
def main(
    ctx: click.Context,
    conf: str | None,
    quiet: int,
    verbose: int,
    debug: bool,
    test_isolation: bool,
) -> None:
    """Look after the files of an instrument: read and change the Data Index.

    The command line only talks to the Data Index, a database; the daemons (alpenhornd) on the
    hosts that hold the data do the work.
    """
    ctx.obj = Settings(conf, verbosity(quiet, verbose, debug), debug, test_isolation)


def entry() -> None:
    """Run the program with the arguments of the process; the console entry point."""
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line.

    Args:
        args: the arguments without the program name.

    Returns:
        The exit code (spec: cli.md §2.5). Whatever went wrong was said in one line on standard
        error; a traceback is shown with ``--debug`` only.

    Raises:
        SystemExit: by click, quietly, if nobody reads our output any more.
    """
    try:
        code = main.main(list(args), prog_name="alpenhorn", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("Aborted!", err=True)
        return 1
    except Exception as error:
        if "--debug" in args:
            sys.excepthook(type(error), error, error.__traceback__)
        what = " ".join(str(error).split())
        click.echo(f"Error: internal error: {type(error).__name__}: {what}", err=True)
        return 1
