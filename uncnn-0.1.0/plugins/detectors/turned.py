"""Faces at any in-plane angle: the photo is looked at eight times, turned by 45 degrees from one look to the next.

Eight looks take eight times as long. So a small copy is looked at first, on its sides and on its head (`glance`): only
where it shows a face that the upright look does not explain are the eight looks taken.

RetinaFace was trained on upright faces. It finds many of those that lie on their side or stand on their head, but reads
them as if they were upright, with the eyes on the mouth, and is as sure of that as of a right reading: so turning
cannot be kept for photos in which nothing is found. All looks vote instead: of the readings of a face those win that
are least likely to be wrong all together, and it is read from the look in which it is most nearly upright.
benchmarks/rotations.py has the figures, docs/models.md shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from uncnn.plugins.api import Detector, Face, Pixels, Rotated
from uncnn.plugins.detectors.retinaface import RetinaFace
from uncnn.plugins.geometry import Floats

TURNS = tuple(range(0, 360, 45))  # degrees, counterclockwise
TURNED_PIXELS = 12_000_000  # a larger photo is made smaller first: the detector does not look at more either
AROUND = (128, 128, 128)  # what a turned photo leaves of its rectangle

GLANCE_TURNS = (90, 180, 270)  # an upright look and these read every face at 45 degrees or less
GLANCE_PIXELS = 600_000  # of the largest view of the copy that is glanced at

SAME_PLACE = 0.4  # readings whose centres are nearer than this share of the larger one's size are of one face
SAME_READING = 0.35  # of the distance between the eyes: landmarks nearer than this say the same
WITNESSES = 2  # looks that must agree on a face that is not seen upright: one by itself sees faces everywhere


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look says of a face, in photo pixels."""

    face: Face
    turn: int  # degrees by which the photo was turned

    @property
    def points(self) -> Floats:
        """Return the landmarks, (5, 2)."""
        return np.array(self.face.landmarks)

    @property
    def surprise(self) -> float:
        """Return how unlikely it is that this is no face: the negative logarithm."""
        return float(-np.log(1 - min(self.face.score, 1 - 1e-6)))

    @property
    def tilt(self) -> float:
        """Return by how many degrees the face was not upright in its look, 0..180."""
        across, down = self.points[1] - self.points[0]
        return float(abs((np.degrees(np.arctan2(down, across)) - self.turn + 180) % 360 - 180))

    def is_at(self, other: Reading) -> bool:
        """Return whether both are of one face, however they read it."""
        apart = np.linalg.norm(self.points.mean(axis=0) - other.points.mean(axis=0))
        return bool(apart < SAME_PLACE * max(self.face.size_px, other.face.size_px))

    def agrees(self, other: Reading) -> bool:
        """Return whether both have the landmarks in the same places."""
        eyes = max(float(np.linalg.norm(other.points[0] - other.points[1])), 0.3 * other.face.size_px)
        return bool(np.linalg.norm(self.points - other.points, axis=1).mean() < SAME_READING * eyes)


@dataclass(frozen=True, slots=True)
class Turned:
    """A detector that finds faces at any in-plane angle with one that is made for upright ones (`api.Detector`).

    Where there is a `glance`, the photo is turned only if that shows it a face that is not upright.
    """

    detector: Detector
    glance: Glance | None = None

    def detect(self, photo: Pixels) -> list[Face]:
        """Return the faces of `photo`, (H, W, 3) uint8 RGB, best score first, in photo pixels."""
        upright = self.detector.detect(photo)
        if self.glance is not None and not self.glance.disputes(photo, upright):
            return upright
        return self.around(photo, upright)

    def around(self, photo: Pixels, upright: Sequence[Face]) -> list[Face]:
        """Return the faces of `photo` at any angle, where those `upright` are found as it stands."""
        readings = [Reading(face, 0) for face in upright]
        readings += _turned_readings(self.detector, photo, _bounded(photo, TURNED_PIXELS), TURNS[1:])
        readings.sort(key=lambda reading: -reading.face.score)
        places: list[list[Reading]] = []
        for reading in readings:
            place = next((place for place in places if place[0].is_at(reading)), None)
            places.append([reading]) if place is None else place.append(reading)
        agreed = (_agreed(place) for place in places)
        return sorted((face for face in agreed if face is not None), key=lambda face: -face.score)


@dataclass(frozen=True, slots=True)
class Glance:
    """A look at a small copy of a photo that lies on its sides and stands on its head."""

    detector: Detector

    @classmethod
    def of(cls, detector: Detector) -> Glance:
        """Return the glance of a detector, which looks at fewer pixels where it can."""
        return cls(replace(detector, view_pixels=GLANCE_PIXELS) if isinstance(detector, RetinaFace) else detector)

    def disputes(self, photo: Pixels, upright: Sequence[Face]) -> list[Face]:
        """Return the faces that it shows and that those `upright` do not explain, best score first.

        Not explained: where no upright face lies, or where all readings together speak for another than that one.
        """
        found = _turned_readings(self.detector, photo, _bounded(photo, GLANCE_PIXELS), GLANCE_TURNS)
        return _unexplained([Reading(face, 0) for face in upright], found)


def looking(detector: Detector, rotated: Rotated) -> Detector:
    """Return the detector as a policy asks for it: for upright faces, for those at any angle, or as a glance shows."""
    if rotated == "auto":
        return Turned(detector, Glance.of(detector))
    return Turned(detector) if rotated else detector


def _unexplained(standing: Sequence[Reading], found: Sequence[Reading]) -> list[Face]:
    """Return the faces of what was `found` in turned copies that none of the upright readings explains."""
    left: list[Reading] = []
    for reading in sorted(found, key=lambda reading: -reading.face.score):
        place = [other for other in (*standing, *found) if other.is_at(reading)]
        there = [other for other in place if not other.turn]
        explained = any(other.agrees(reading) for other in there) or (
            max((_votes(other, place) for other in there), default=-1.0) >= _votes(reading, place)
        )
        if not explained and not any(other.is_at(reading) for other in left):
            left.append(reading)
    return [reading.face for reading in left]


def _turned_readings(detector: Detector, photo: Pixels, small: Image.Image, turns: Sequence[int]) -> list[Reading]:
    """Return what is seen in `small`, a copy of `photo`, in each of `turns`."""
    readings = []
    for turn in turns:
        image = small.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=AROUND)
        back = _way_back(turn, image.size, small.size, photo.shape)
        found = (_face_back(face, back, photo.shape) for face in detector.detect(np.asarray(image)))
        readings += [Reading(face, turn) for face in found if face is not None]
    return readings


def _votes(reading: Reading, place: Sequence[Reading]) -> float:
    """Return how unlikely it is that all readings of one place that agree with this one are wrong."""
    return sum(other.surprise for other in place if other.agrees(reading))


def _agreed(place: Sequence[Reading]) -> Face | None:
    """Return the face that the readings of one place make: the reading with most votes, where it is most upright.

    None where it is not seen upright and too few agree.
    """
    best = max(place, key=lambda reading: _votes(reading, place))
    same = [reading for reading in place if reading.agrees(best)]
    if len(same) < WITNESSES and all(reading.turn for reading in place):
        return None
    return min(same, key=lambda reading: reading.tilt).face


def _bounded(photo: Pixels, most: int) -> Image.Image:
    image = Image.fromarray(photo)
    scale = (most / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    return image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)))


def _way_back(turn: int, turned: tuple[int, int], small: tuple[int, int], shape: tuple[int, ...]) -> Floats:
    """Return the map, (2, 3), of points of the turned picture into the photo of `shape`.

    `turned` and `small` are the width and height of the picture after and before it was turned about its middle.
    """
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    scale = np.array([[shape[1] / small[0]], [shape[0] / small[1]]])
    linear = scale * np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([shape[1], shape[0]]) / 2 - 0.5  # the centre of the first pixel is at 0, 0
    shift = middle - linear @ (np.array(turned) / 2 - 0.5)
    return np.concatenate([linear, shift[:, None]], axis=1)


def _face_back(face: Face, back: Floats, shape: tuple[int, ...]) -> Face | None:
    """Return a face of the turned picture in the photo, its box around the turned one; None: it is not in the photo."""

    def moved(points: Sequence[tuple[float, float]]) -> Floats:
        mapped: Floats = np.array(points) @ back[:, :2].T + back[:, 2]
        return mapped

    x0, y0, x1, y1 = face.box
    corners = moved([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    limits = np.array([shape[1], shape[0]]) - 0.5
    middle = corners.mean(axis=0)
    if (middle < -0.5).any() or (middle > limits).any():
        return None
    low, high = (np.clip(ends, -0.5, limits) for ends in (corners.min(axis=0), corners.max(axis=0)))
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    left_eye, right_eye, nose, left_mouth, right_mouth = ((float(x), float(y)) for x, y in moved(face.landmarks))
    return Face(box, (left_eye, right_eye, nose, left_mouth, right_mouth), face.score)
