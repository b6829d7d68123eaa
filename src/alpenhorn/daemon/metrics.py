"""Façade: `Metric` under the name that later versions gave its module (extensions.md §9)."""

from alpenhorn.common.metrics import Metric

__all__ = ["Metric"]
