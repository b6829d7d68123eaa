"""Callbacks of import-detect extensions, in their two modes (spec: extensions.md X-2).

*Atomic*: inside the transaction of the import; if the callback raises, nothing of that file is
recorded. Otherwise: after the commit, in a transaction of its own, and again after growing pauses
until it succeeds.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import peewee as pw

from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db.connection import change
from alpenhorn.db.queries.imports import Registered
from alpenhorn.errors import AlpenhornError
from alpenhorn.extensions import failures, stuck
from alpenhorn.extensions.detection import Detection
from alpenhorn.scheduler import FairMultiFIFOQueue, Task

FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0


class CallbackFailed(AlpenhornError):
    """An atomic callback raised; `index` says for which file of the batch."""

    def __init__(self, index: int, text: str) -> None:
        super().__init__(text)
        self.index = index


class Calls:
    """The callbacks of one batch.

    Args:
        node: where the files are.
        detections: one per file, in the order of the batch.
    """

    def __init__(self, node: UpdateableNode, detections: Sequence[Detection]) -> None:
        self._node = node
        self._detections = detections

    @property
    def any(self) -> bool:
        """Is there anything to call?"""
        return any(callable(detection.callback) for detection in self._detections)

    def inside(self, results: list[Registered]) -> None:
        """Call the atomic ones, within the transaction of the import.

        Raises:
            CallbackFailed: one of them raised; everything is to be undone.
        """
        for index, (detection, result) in enumerate(zip(self._detections, results, strict=True)):
            if not (result.added and _is_atomic(detection)):
                continue
            try:
                _call(detection, result, self._node)
            except pw.OperationalError:
                raise
            except (Exception, SystemExit) as error:
                failures.report("callback", detection.extension, result.path, error)
                raise CallbackFailed(index, str(error)) from error

    def after(self, results: list[Registered], queue: FairMultiFIFOQueue) -> None:
        """Call the others, after the commit; failed ones again later."""
        for detection, result in zip(self._detections, results, strict=True):
            if not result.added or _is_atomic(detection) or not callable(detection.callback):
                continue
            if not _try(detection, result, self._node):
                Task(
                    again_job,
                    queue=queue,
                    key=("callbacks", self._node.name),
                    name=f"Callback of {detection.extension.full_name} on {self._node.name}",
                    args=(detection, result, self._node),
                )


def again_job(
    task: Task, detection: Detection, result: Registered, node: UpdateableNode
) -> Generator[float, None, None]:
    """Call a failed callback again until it succeeds; the body of the task."""
    pause = FIRST_PAUSE_S
    yield pause
    while not _try(detection, result, node):
        pause = min(2 * pause, LONGEST_PAUSE_S)
        yield pause


def _try(detection: Detection, result: Registered, node: UpdateableNode) -> bool:
    try:
        with change():
            _call(detection, result, node)
    except (Exception, SystemExit) as error:
        failures.report("callback", detection.extension, result.path, error)
        return False
    return True


def _call(detection: Detection, result: Registered, node: UpdateableNode) -> Any:
    callback: Any = detection.callback
    with stuck.on_record("callback", detection.extension, result.path, node):
        return callback(result.copy, result.new_file, result.new_acq, node)


def _is_atomic(detection: Detection) -> bool:
    return bool(detection.extension.atomic) and callable(detection.callback)
