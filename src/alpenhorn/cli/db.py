"""The noun `db` (spec: cli.md §5)."""

from alpenhorn.cli.lazy import noun

db = noun(
    "db",
    "Set up, check and move the Data Index.",
    init="db_init:init",
    check="db_check:check",
    copy="db_copy:copy",
)
