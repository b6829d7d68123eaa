"""The noun `acq` (spec: cli.md §6)."""

from alpenhorn.cli.lazy import noun

acq = noun(
    "acq",
    "Acquisitions: directories of files that belong together.",
    create="acq_create:create",
    files="acq_list:files",
    list="acq_list:list_acqs",
    show="acq_show:show",
)
