"""Check the Data Index, and repair what cannot lose anything (``alpenhorn db check``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import peewee as pw

from alpenhorn.db import schema
from alpenhorn.db.queries import (
    audit_names,
    audit_references,
    audit_schema,
    audit_states,
    audit_work,
)
from alpenhorn.db.queries.audit import Found, Gravity, Rule
from alpenhorn.db.retry import in_one_line
from alpenhorn.errors import IndexProblem


@dataclass(frozen=True)
class Finding:
    """What is against one rule."""

    rule: Rule
    found: Found
    fixed: int | None = None
    """Number of rows repaired; None if that was not tried."""
    left: int = 0
    """Number of rows still against the rule."""
    failure: str | None = None
    """Why the repair did not work."""

    @property
    def unsolved(self) -> bool:
        """Is something still wrong?"""
        return self.rule.gravity is Gravity.PROBLEM and self.left > 0


def check(fix: bool) -> Iterator[Finding]:
    """Look for what is wrong in the index of this process, from the bottom up.

    Args:
        fix: repair what cannot lose anything: one short transaction per rule.

    Yields:
        What was found, rule by rule. What builds on something that is broken is not looked at.
    """
    for rules in (audit_schema.structure(), audit_schema.versions()):
        findings = list(_apply(rules, fix))
        yield from findings
        if any(finding.unsolved for finding in findings):
            return
    yield from _apply(_on_rows(), fix)
    # Last: what is there twice stands in the way of indexes.
    yield from _apply(audit_schema.additions(), fix)


def _on_rows() -> Iterator[Rule]:
    yield from audit_references.repeated()
    yield from audit_references.orphans()
    yield from audit_states.of_copies()
    yield from audit_states.of_requests()
    yield from audit_states.of_places()
    yield from audit_names.hostile()
    yield from audit_names.checksums()
    yield from audit_names.settings()
    yield from audit_work.waiting()
    if schema.operations_available():
        yield from audit_references.of_attempts()
        yield from audit_work.of_daemons()


def _apply(rules: Iterable[Rule], fix: bool) -> Iterator[Finding]:
    for rule in rules:
        found = rule.find()
        if found.count:
            yield (
                _fixed(rule, found) if fix and rule.fix else Finding(rule, found, left=found.count)
            )


def _fixed(rule: Rule, found: Found) -> Finding:
    assert rule.fix is not None
    changed, failure = 0, None
    try:
        changed = rule.fix.run()
    except pw.PeeweeException as error:
        failure = in_one_line(error)
    except IndexProblem as error:
        failure = error.message
    left = rule.find().count
    return Finding(rule, found, changed, left, failure if left else None)
