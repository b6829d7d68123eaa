"""How many schedules are tried, and how they are drawn."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "4"))
"""Schedules tried per scenario."""

quietly = settings(
    derandomize="MACHINE_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""The same schedules each time, unless another number of them is asked for."""
