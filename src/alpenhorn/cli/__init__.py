"""The command line ``alpenhorn`` (spec: cli.md).

A command is three moves: build a filter from its options, call one service, render the result.
There is one module per noun (`db`, `acq`, `file`, `group`, `node`) that lists its commands, and
modules ``<noun>_<what>`` that hold them. Nouns and commands are imported when they are used, since
the time to start counts.
"""

from alpenhorn.cli.main import entry

__all__ = ["entry"]
