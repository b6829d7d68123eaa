"""Façade: `QueryWalker` under the name by which others import it (extensions.md §9)."""

from alpenhorn.db.querywalker import QueryWalker

__all__ = ["QueryWalker"]
