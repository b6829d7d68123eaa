"""The chore of auto-repair: bad copies in a group are asked for again (`group modify`)."""

from __future__ import annotations

import logging

from alpenhorn.daemon.group import UpdateableGroup
from alpenhorn.db.queries import group_policy
from alpenhorn.db.queries.repair import Case, RepairScope

log = logging.getLogger(__name__)


def dispatch(group: UpdateableGroup) -> None:
    """Ask for the transfers that repair the group's copies, if it is to be repaired.

    The bad copies are counted in each pass; what can be done about them is looked at when their
    number changes, and else at growing intervals of up to an hour.
    """
    if not group_policy.auto_repaired(group.db):
        return
    scope = RepairScope(group_id=group.db.id, patient=True)
    bad = scope.count_bad()
    if not bad:
        group.obstacles.gone("bad copies")
        return
    if not group.obstacles.is_news("bad copies", str(bad)):
        return
    requested = scope.request()
    if requested:
        log.info(f"Auto-repair: requesting {requested} copies for group {group.name}.")
    _say_hopeless(group, scope)


def _say_hopeless(group: UpdateableGroup, scope: RepairScope) -> None:
    amounts = scope.amounts()
    count = sum(amount.count for (_, case), amount in amounts.items() if case is Case.HOPELESS)
    if not count:
        group.obstacles.gone("hopeless")
        return
    text = f"Auto-repair: {count} copies in group {group.name} have no healthy copy elsewhere."
    group.obstacles.say("hopeless", text, logging.WARNING)
