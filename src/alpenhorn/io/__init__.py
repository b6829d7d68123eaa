"""Where bytes rest: the storage classes and their registry."""

from alpenhorn.io import registry
from alpenhorn.io.default import DefaultIO
from alpenhorn.io.polling import PollingIO
from alpenhorn.io.transport import TransportIO

internal_io = registry.builtin
internal_io.update(Default=DefaultIO, Polling=PollingIO, Transport=TransportIO)

__all__ = ["internal_io"]
