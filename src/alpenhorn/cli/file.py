"""The noun `file` (spec: cli.md §7)."""

from alpenhorn.cli.lazy import noun

file = noun(
    "file",
    "Files: what is archived, and where its copies are.",
    clean="file_copies:clean",
    create="file_edit:create",
    find="file_list:find",
    history="file_history:history",
    list="file_list:list_files",
    modify="file_edit:modify",
    show="file_show:show",
    state="file_state:state",
    sync="file_requests:sync",
    verify="file_copies:verify",
    **{"import": "file_requests:import_file"},
)
