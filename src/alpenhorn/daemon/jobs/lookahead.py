"""How much work a pass takes on at most: the rest waits in the index, not in memory (P6)."""

FEW = 16
"""Up to so many files in a pass are told about one by one (design §5)."""

LOOKAHEAD = 4000
"""Rows that one chore of one pass looks at: a few batches."""
