"""What third parties construct to teach alpenhorn about their site, and the loader of it.

An *extension module* is an ordinary Python module, listed in the configuration, with a function
`register_extensions()` that returns extension objects of the classes exported here
(spec: extensions.md). ``examples/pattern_importer.py`` shows how one is written.
"""

from alpenhorn.extensions.database import DatabaseExtension
from alpenhorn.extensions.import_detect import ImportDetectExtension
from alpenhorn.extensions.io_class import IOClassExtension

__all__ = ["DatabaseExtension", "IOClassExtension", "ImportDetectExtension"]
