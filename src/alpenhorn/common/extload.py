"""Façade: the loader under the name by which third-party modules import it (extensions.md §2.4)."""

from alpenhorn.extensions.loader import (
    find_extensions,
    import_detection,
    init_extensions,
    io_extension,
)

__all__ = ["find_extensions", "import_detection", "init_extensions", "io_extension"]
