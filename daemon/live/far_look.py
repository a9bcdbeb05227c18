"""A second look, at an enlarged picture: small faces behind the one at the desk, which the look at every frame misses.

It takes several times as long. So that no frame waits for it, it is done beside the frames, about twice a second, where
frames come by themselves; else, at the first frame and after a cut, in line.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np

from uncnn.daemon.live.following import BEGINS
from uncnn.plugins.api import Detector, Face, Pixels
from uncnn.plugins.detectors.retinaface import RetinaFace
from uncnn.plugins.tracking import iou

ENLARGED: Final = 1.5
EVERY_SECONDS: Final = 0.5
EVERY_FRAMES: Final = 8
_SAME_IOU: Final = 0.2


@dataclass(slots=True)
class FarLook:
    """Looks for small faces now and then."""

    detector: Detector
    beside: bool  # the frames, in a thread; else every so many frames in line
    _looking: Future[list[Face]] | None = None
    _frames: int = 0  # since the last look
    _asked: float = 0.0  # monotonic seconds
    _thread: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1, "far look"))

    def faces(self, picture: Pixels, at_once: bool) -> list[Face]:
        """Return the faces that were seen lately and not returned yet; `at_once`: those of this very picture.

        Raises what the detector does, also when it did so in the thread.
        """
        self._frames += 1
        if at_once or (not self.beside and self._frames >= EVERY_FRAMES):
            self._frames, self._looking = 0, None
            return self.detector.detect(picture)
        found: list[Face] = []
        if self._looking is not None and self._looking.done():
            found, self._looking = self._looking.result(), None
        if self.beside and self._looking is None and time.monotonic() - self._asked >= EVERY_SECONDS:
            self._asked = time.monotonic()
            self._looking = self._thread.submit(self.detector.detect, picture.copy())
        return found


def far_detector(detector: Detector, pixels: int) -> Detector | None:
    """Return the detector as it looks at enlarged pictures of so many `pixels`; None: it has its own way."""
    if not isinstance(detector, RetinaFace):
        return None
    most = round(pixels * ENLARGED**2)
    return replace(detector, threshold=BEGINS, view_pixels=most, largest_scale=ENLARGED)


def others(found: list[Face], near: list[Face]) -> list[Face]:
    """Return those of `found` that are not where one of `near` is."""
    boxes = [np.array(face.box) for face in near]
    return [face for face in found if all(iou(np.array(face.box), box) < _SAME_IOU for box in boxes)]
