#!/usr/bin/env python3
"""Break lines of the product one at a time, and see that the tests of the invariants go red.

    python tools/mutants.py [INVARIANT ...]

Each mutant is made in a temporary copy of the tree. What is printed is a table: invariant, line
broken, test, and whether it was red or GREEN. The exit status is 1 if a test stays green, or if a
text is no longer in the sources: then this list must follow them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TREE = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "examples", "conftest.py", "pyproject.toml")
LIMIT_S = 120
"""A test that takes longer is red: what it waits for does not come."""


class Mutant(NamedTuple):
    """One line broken."""

    file: str
    """Below ``src/alpenhorn``."""
    text: str
    """What is there, exactly once."""
    broken: str
    test: str
    """File below ``tests``, and the beginning of the name of the test."""
    invariant: int
    """Of spec: data-index.md §13."""


_DELETION = "unit/db/test_invariants_deletion.py::test_invariant_"
_INTEGRITY = "unit/db/test_invariants_integrity.py::test_invariant_"
_REQUESTS = "unit/db/test_invariants_requests.py::test_invariant_"

MUTANTS = (
    Mutant(
        "db/queries/deletion.py",
        "if len(safe) < rule.copies:",
        "if len(safe) < rule.copies - 1:",
        f"{_DELETION}01_a_copy_goes_only_if",
        1,
    ),
    Mutant(
        "db/queries/protection.py",
        "        copy.wants_file != WantsFile.RELEASED,",
        '        copy.wants_file != "-",',
        f"{_DELETION}02_three_deleters",
        2,
    ),
    Mutant(
        "db/queries/protection.py",
        "return keys - {own}",
        "return keys",
        f"{_DELETION}03_copies_that_share",
        3,
    ),
    Mutant(
        "db/queries/deletion.py",
        "if not _wants_to_go(copy, missing_b > 0) or copy.file_id in sources:",
        "if not _wants_to_go(copy, missing_b > 0):",
        f"{_DELETION}04_sources_of_pending",
        4,
    ),
    Mutant(
        "db/queries/deletion.py",
        "if not _wants_to_go(copy, missing_b > 0) or copy.file_id in sources:",
        "if copy.file_id in sources:",
        f"{_DELETION}05_a_cancelled_release",
        5,
    ),
    Mutant(
        "db/queries/deletion.py",
        "\n            missing_b -= _bytes(copy)",
        "\n            missing_b -= 0",
        f"{_DELETION}06_a_claim_takes_no_more",
        6,
    ),
    Mutant(
        "db/queries/deletion.py",
        "        evidence.keep([item.copy for item in result.taken], protectors)",
        "        try:\n"
        "            evidence.keep([item.copy for item in result.taken], protectors)\n"
        "        except Exception:\n"
        "            pass",
        f"{_DELETION}07_no_claim_without",
        7,
    ),
    Mutant(
        "db/queries/deletion.py",
        "[HasFile.PRESENT, HasFile.SUSPECT, HasFile.CORRUPT]",
        "[HasFile.PRESENT, HasFile.CORRUPT]",
        f"{_DELETION}08_a_killed_deletion",
        8,
    ),
    Mutant(
        "db/queries/imports.py",
        "(HasFile.CORRUPT if result.mismatch else HasFile.PRESENT)",
        "(HasFile.PRESENT)",
        f"{_INTEGRITY}09_an_import_of_other_bytes",
        9,
    ),
    Mutant(
        "io/default/jobs/check.py",
        "if not medium.is_there():",
        "if False:",
        "unit/io/test_vanishing.py::test_good_files_on_another_medium",
        9,
    ),
    Mutant(
        "io/default/writers.py",
        "None if kind.startswith(NO_LEASES) else True",
        "False",
        "daemon/test_writers.py::test_a_growing_file_is_registered",
        9,
    ),
    Mutant(
        "db/queries/checks.py",
        'values: dict[str, Any] = {"has_file": state, "last_update": now}',
        'values: dict[str, Any] = {"has_file": state, "last_update": now, "wants_file": "Y"}',
        f"{_INTEGRITY}10_a_check_never_changes",
        10,
    ),
    Mutant(
        "transfer/verify.py",
        "if item.md5 is not None and md5.lower() != item.md5.strip().lower():",
        "if False:",
        "unit/transfer/test_verify.py::test_",
        12,
    ),
    Mutant(
        "db/queries/imports.py",
        "wanted[key].md5sum.lower(),",
        "wanted[key].md5sum,",
        f"{_INTEGRITY}14_checksums_are_lower_case",
        14,
    ),
    Mutant(
        "db/queries/pending.py",
        "(Request.completed == False, Request.cancelled == False)",
        "(Request.completed == False,)",
        f"{_REQUESTS}22_a_request_cancelled_during",
        22,
    ),
    Mutant(
        "db/queries/imports.py",
        "            ArchiveFileImportRequest.completed == False,  # noqa: E712\n        )\n"
        "        .execute()",
        "        )\n        .execute()",
        f"{_REQUESTS}23_an_import_request",
        23,
    ),
    Mutant(
        "db/queries/imports.py",
        "        autoactions.apply(node, good)",
        "        pass",
        f"{_REQUESTS}26_a_copy_and_its",
        26,
    ),
)


def missing(tree: Path = TREE) -> list[Mutant]:
    """Return the mutants whose texts are not in the sources exactly once."""
    return [mutant for mutant in MUTANTS if _source(tree, mutant).count(mutant.text) != 1]


def _source(tree: Path, mutant: Mutant) -> str:
    return (tree / "src/alpenhorn" / mutant.file).read_text(encoding="utf-8")


def is_red(tree: Path, mutant: Mutant) -> bool:
    """Run the test of a mutant in a copy of the tree, which is left as it was."""
    path, source = tree / "src/alpenhorn" / mutant.file, _source(tree, mutant)
    path.write_text(source.replace(mutant.text, mutant.broken), encoding="utf-8")
    try:
        return run(tree, mutant.test) == 1  # 5 is "no such test": that is no proof
    finally:
        path.write_text(source, encoding="utf-8")


def run(tree: Path, test: str) -> int:
    """Run a test in a copy of the tree; returns the exit status of pytest."""
    file, _, name = test.partition("::")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    try:
        return subprocess.run(
            [*command, f"tests/{file}", "-k", name],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return 1


def main(wanted: Sequence[str]) -> int:
    """Try the mutants of these invariants, or all; returns the exit status."""
    lost = missing()
    for mutant in lost:
        print(f"not in {mutant.file} exactly once: {mutant.text.strip()!r}")
    chosen = [m for m in MUTANTS if m not in lost and (not wanted or str(m.invariant) in wanted)]
    print("| invariant | line broken | test | |\n| --- | --- | --- | --- |")
    green = 0
    with tempfile.TemporaryDirectory(prefix="alpenhorn-mutants-") as place:
        tree = Path(place)
        for name in COPIED:
            copy = shutil.copytree if (TREE / name).is_dir() else shutil.copy
            copy(TREE / name, tree / name)
        for mutant in chosen:
            red = is_red(tree, mutant)
            green += not red
            line = " ".join(mutant.text.split())
            print(
                f"| {mutant.invariant} | `{mutant.file}`: `{line}` | `{mutant.test}` "
                f"| {'red' if red else 'GREEN'} |",
                flush=True,
            )
    return 1 if green or lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
