"""The noun `group` (spec: cli.md §8)."""

from alpenhorn.cli.lazy import noun

group = noun(
    "group",
    "Storage groups: sets of nodes that receive files.",
    autosync="group_edit:autosync",
    create="group_edit:create",
    list="group_show:list_groups",
    modify="group_edit:modify",
    rename="group_edit:rename",
    show="group_show:show",
    sync="sync:group_sync",
)
