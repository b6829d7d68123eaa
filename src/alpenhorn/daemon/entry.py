"""The command ``alpenhornd`` (spec: daemon.md §2)."""

from __future__ import annotations

import logging
import sys

import click

from alpenhorn import bootstrap
from alpenhorn.common import config
from alpenhorn.daemon import integrity
from alpenhorn.daemon.run import run
from alpenhorn.errors import AlpenhornError
from alpenhorn.services import about

log = logging.getLogger(__name__)


def _print_and_exit(context: click.Context, text: str) -> None:
    click.echo(text)
    context.exit(0)


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        _print_and_exit(context, about.version_text("alpenhornd"))


def _help_config(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        _print_and_exit(context, about.HELP_CONFIG)


@click.command(context_settings={"help_option_names": ["--help"]})
@click.option(
    "-c",
    "--conf",
    type=click.Path(exists=True),
    metavar="FILE",
    help="Read this configuration file too, last.",
)
@click.option(
    "-o",
    "--once",
    "--exit-after-update",
    "once",
    is_flag=True,
    help="Make one pass, wait until its work is done, and exit.",
)
@click.option(
    "--disable-archive-integrity",
    "few_copies_ok",
    is_flag=True,
    help="Accept a daemon.archive_copy_count below 2: files may be lost with one disk.",
)
@click.option(
    "--test-isolation",
    is_flag=True,
    help="Read no configuration from the standard places.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version and the licence, and exit.",
)
@click.option(
    "--help-config",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_help_config,
    help="Explain how to configure alpenhorn, and exit.",
)
def cli(conf: str | None, once: bool, few_copies_ok: bool, test_isolation: bool) -> None:
    """Manage the storage nodes of this host: import, copy, check and delete files.

    Runs in the foreground and logs to standard error, until it is interrupted.
    """
    config.test_isolation(test_isolation)
    app = bootstrap.start(cli=False, conf=conf)
    integrity.check(few_copies_ok)
    sys.exit(run(app.host, once))


def entry() -> None:
    """Run the daemon; the console entry point."""
    try:
        cli.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)
    except AlpenhornError as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(1)
    except Exception:
        log.exception("Fatal error!")
        sys.exit(1)
