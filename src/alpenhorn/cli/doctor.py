"""``doctor``: is everything there that a daemon on this host needs?

The program's help text imports this module, so what takes time to import is left until it is used.
"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from alpenhorn.cli import options
from alpenhorn.cli.settings import Settings
from alpenhorn.cli.usage import ExampleCommand


def _nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a node."""
    from alpenhorn.cli.names import Name

    return Name("node").shell_complete(ctx, param, incomplete)


@click.command("doctor", cls=ExampleCommand, example="alpenhorn doctor --no-routes")
@click.option(
    "--node",
    metavar="NODE",
    shell_complete=_nodes,
    help="Only this node, and the routes to its group.",
)
@options.flag("--no-routes", help="Do not log in to other hosts.")
@options.json_option
@click.pass_context
def doctor(ctx: click.Context, node: str | None, no_routes: bool, as_json: bool) -> None:
    """Check everything that a daemon on this host needs.

    Looks at the configuration, the database, extensions, the daemon's lease, the nodes of this
    host, programs, and the routes in use from other hosts, and says what to do about each
    problem. Run it on the host and as the account of the daemon. Nothing is written into the Data
    Index; in each node's root a small file is made and removed.

    The exit status is 0 if there is no problem, though there may be warnings, and 1 if there is
    one.
    """
    from alpenhorn.cli.doctor_report import report

    settings = ctx.find_object(Settings) or Settings()
    ctx.exit(report(settings, node, not no_routes, as_json))
