"""The noun `db` (spec: cli.md §5)."""

from alpenhorn.cli.lazy import noun

db = noun("db", "Set up the Data Index.", init="db_init:init")
