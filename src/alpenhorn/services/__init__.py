"""Use cases that front ends share: find, plan, apply, explain."""
