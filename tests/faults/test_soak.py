"""Real daemons under random faults lose nothing, and what the index says is true.

Half a minute by default; ``make soak SOAK_MINUTES=30 SOAK_SEED=7`` for as long as one likes.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from faults.fleet import Fleet
from faults.soak import Soak

MINUTES = float(os.environ.get("SOAK_MINUTES", "0.5"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or random.randrange(1, 10**6)


def test_nothing_is_lost_and_no_row_is_wrong(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    soak = Soak(fleet, SEED)
    try:
        with fleet.site:
            fleet.set_up()
            try:
                soak.play(MINUTES * 60)
            finally:
                print(soak.table)
                print(f"again: make soak SOAK_MINUTES={MINUTES:g} SOAK_SEED={SEED}")
    finally:
        fleet.tear_down()
    assert soak.bad == [], "\n".join([*soak.journal[-60:], *soak.bad[:20]])
