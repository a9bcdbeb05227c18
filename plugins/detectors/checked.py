"""Detectors of others: what they answer is checked before anything is done with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from uncnn.plugins.api import Detector, Face, Pixels, PluginError
from uncnn.plugins.detectors.centerface import CenterFace
from uncnn.plugins.detectors.retinaface import RetinaFace


@dataclass(frozen=True, slots=True)
class CheckedDetector:
    """A detector that is given a photo it cannot change, and whose faces are ones: finite, and inside the photo."""

    name: str
    detector: Detector

    def detect(self, photo: Pixels) -> list[Face]:
        """Return the faces of `photo`, (H, W, 3) uint8 RGB, best score first, in photo pixels.

        Raises:
            PluginError: the detector answers with something else.
        """
        seen = photo.view()
        seen.flags.writeable = False
        found = self.detector.detect(seen)
        try:
            faces = [_plain(face, photo.shape[1], photo.shape[0]) for face in found]
        except (AttributeError, TypeError, ValueError) as error:
            words = f"detector {self.name} answers with something that is no face ({error})"
            raise PluginError(f"{words}: update it, or choose another as `models.detector` in config.yaml") from error
        return sorted(faces, key=lambda face: -face.score)


def checked(name: str, detector: Detector) -> Detector:
    """Return a detector whose answers are checked; those that come with uncnn need none. Raises TypeError."""
    if isinstance(detector, RetinaFace | CenterFace):
        return detector
    if not callable(getattr(detector, "detect", None)):
        raise TypeError(f"{type(detector).__name__} has no method detect")
    return CheckedDetector(name, detector)


def _plain(face: Face, width: int, height: int) -> Face:
    """Return a face of plain numbers, its box inside the photo. Raises AttributeError, TypeError, ValueError."""
    x0, y0, x1, y1 = (float(value) for value in face.box)
    left_eye, right_eye, nose, left_mouth, right_mouth = ((float(x), float(y)) for x, y in face.landmarks)
    landmarks, score = (left_eye, right_eye, nose, left_mouth, right_mouth), float(face.score)
    x0, x1 = (min(max(x, -0.5), width - 0.5) for x in (x0, x1))
    y0, y1 = (min(max(y, -0.5), height - 0.5) for y in (y0, y1))
    finite = all(map(math.isfinite, (x0, y0, x1, y1, *(value for point in landmarks for value in point))))
    if not (finite and x0 < x1 and y0 < y1 and 0 <= score <= 1 and left_eye != right_eye):
        raise ValueError(f"box {face.box}, landmarks {face.landmarks}, score {face.score}")
    return Face((x0, y0, x1, y1), landmarks, score)
