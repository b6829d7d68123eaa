"""The parts of `benchmarks/bulk.py`."""
