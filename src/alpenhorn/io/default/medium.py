"""The medium of a node, held open for the time of a job (design: a vanished root proves nothing).

Between two looks at a path, its file system may be unmounted, or another one mounted there. So a
job looks below a descriptor of the root, which leads to the medium that it began with and to no
other, and asks once more, just before it records anything, whether the node still rests on it.
"""

from __future__ import annotations

from collections.abc import Callable

from alpenhorn.io.base import Medium
from alpenhorn.io.default import identity
from alpenhorn.io.default.tree import Tree
from alpenhorn.io.default.updownlock import UpDownLock


class HeldMedium(Medium):
    """What was at a node's root when the job began.

    Args:
        fd: a descriptor of the root, good as long as this is used.
        root: the path of the root.
        lock: of the node's trees.
        check_init: tells whether what is at the root now is the node's.
    """

    def __init__(
        self, fd: int, root: str, lock: UpDownLock, check_init: Callable[[], bool]
    ) -> None:
        super().__init__(check_init)
        self.tree = Tree(root, lock, held=fd)
        """The files on this medium, whatever is at the root by now."""
        self._identity = identity.device(fd)

    def is_there(self) -> bool:
        """Tell whether the root is still this medium, and the node's.

        Device and inode of what is held cannot be given to another one.
        """
        if self._identity is None or not super().is_there():
            return False
        return identity.device(self.tree.root) == self._identity
