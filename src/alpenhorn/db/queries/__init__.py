"""Questions and changes with names, one file per subject.

Each function works on sets, takes lists of any length (longer ones in chunks), and says in its
docstring what its one transaction is. Callers never write SQL.
"""
