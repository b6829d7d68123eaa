"""Is what the configuration asks for enough to delete files by? Tested before the daemon starts."""

from __future__ import annotations

import logging

from alpenhorn.db.queries import doorbell, protection
from alpenhorn.errors import ConfigValueError

log = logging.getLogger(__name__)


def check(few_copies_ok: bool) -> None:
    """Refuse a configuration under which files could be lost, or never deleted.

    An index without our own tables is worth a warning.

    Args:
        few_copies_ok: the option ``--disable-archive-integrity`` was given.

    Raises:
        ConfigValueError: too few archive copies would be left (spec: config.md §14); or their
            age is to count, and the index keeps no record of it.
    """
    rule = protection.configured()
    if rule.copies < protection.SAFE_COPIES:
        if not few_copies_ok:
            raise ConfigValueError(
                'Config parameter "daemon.archive_copy_count" too small to guarantee archive '
                f"integrity: {rule.copies}.  Set it to {protection.SAFE_COPIES} or more, or start "
                "alpenhornd with --disable-archive-integrity."
            )
        log.warning(f"Archive integrity is disabled: {rule.copies} archive copies allow deletion.")
    if doorbell.available():
        return
    log.warning(
        "The Data Index lacks tables of this version, so there is no lease and no record of "
        "deletions.  Run `alpenhorn db init` to add them."
    )
    if rule.max_age_days is not None:
        raise ConfigValueError(
            'Config parameter "daemon.archive_copy_max_age_days" needs a record of verifications, '
            "which this Data Index lacks.  Run `alpenhorn db init` to add it."
        )
