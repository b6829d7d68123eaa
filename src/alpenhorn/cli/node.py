"""The noun `node` (spec: cli.md §9)."""

from alpenhorn.cli.lazy import noun

node = noun(
    "node",
    "Storage nodes: places that hold files.",
    activate="node_edit:activate",
    autoclean="node_requests:autoclean",
    clean="node_clean:clean",
    create="node_create:create",
    deactivate="node_edit:deactivate",
    init="node_requests:init",
    list="node_list:list_nodes",
    modify="node_edit:modify",
    rename="node_edit:rename",
    repair="node_repair:repair",
    scan="node_requests:scan",
    show="node_show:show",
    stats="node_list:stats",
    sync="sync:node_sync",
    verify="node_verify:verify",
)
