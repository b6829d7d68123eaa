"""``completion``: the script that teaches a shell to complete our command lines."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from alpenhorn.cli.usage import ExampleCommand

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=ExampleCommand,
    example="alpenhorn completion bash > ~/.alpenhorn-completion",
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script for SHELL that completes commands, options and names.

    Have it read when the shell starts: in ~/.bashrc or ~/.zshrc the line
    "source ~/.alpenhorn-completion", if the script was put there; for fish, put the script into
    ~/.config/fish/completions/alpenhorn.fish. The names of nodes, groups, acquisitions and I/O
    classes come from the Data Index.
    """
    program = ctx.find_root()
    made = get_completion_class(shell)
    assert made is not None, shell
    script = made(program.command, {}, str(program.info_name), "_ALPENHORN_COMPLETE")
    # Not `source()`, which for bash looks for the bash of this machine.
    click.echo(script.source_template % script.source_vars())
