"""alpenhorn keeps every file of an instrument safe, findable and moving, for decades."""

__version__ = "3.0.0"
