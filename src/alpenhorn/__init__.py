"""alpenhorn keeps every file of an instrument safe, findable and moving, across sites, for decades."""

__version__ = "3.0.0"
