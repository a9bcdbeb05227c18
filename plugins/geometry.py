"""Where a face lies and how a recogniser sees it: similarities and square regions.

Matrices are 2x3 and map x, y to x, y; the centre of the first pixel is at 0, 0 (OpenCV's convention).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uncnn.plugins.api import Face

Floats = npt.NDArray[np.float64]

SAME_FACE = 0.35  # landmarks nearer than this share of the distance between the eyes belong to one face

ARCFACE_112: Floats = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Five points of the ArcFace 112x112 template: the frame in which a face's region is measured here."""

# What any of the known templates shows of a face, in ArcFace-112 pixels: ArcFace itself is 0..112 both ways, dlib
# reaches down to 119, and landmarks that are read anew differ by about 2 px.
REGION_112 = (-4.0, -4.0, 116.0, 122.0)


def similarities(points: Floats, template: Floats) -> Floats:
    """Return the least-squares similarities, (N, 2, 3), that map `points` (N, 5, 2) onto `template` (5, 2).

    Rotation, uniform scale and shift without reflection: Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", PAMI 1991, which in two dimensions is a linear fit of complex numbers.
    """
    source = points - points.mean(axis=1, keepdims=True)
    target = template - template.mean(axis=0)
    norm = np.maximum((source**2).sum(axis=(1, 2)), 1e-12)
    cosine = (source * target).sum(axis=(1, 2)) / norm
    sine = (source[..., 0] * target[:, 1] - source[..., 1] * target[:, 0]).sum(axis=1) / norm
    linear = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], 1)
    shift = template.mean(axis=0) - np.einsum("nij,nj->ni", linear, points.mean(axis=1))
    return np.concatenate([linear, shift[..., None]], axis=2)


def inverse(matrices: Floats) -> Floats:
    """Return the inverse of each of `matrices`, (N, 2, 3)."""
    linear = np.linalg.inv(matrices[:, :, :2])
    shift = -np.einsum("nij,nj->ni", linear, matrices[:, :, 2])
    return np.concatenate([linear, shift[..., None]], axis=2)


def transform(matrices: Floats, points: Floats) -> Floats:
    """Return `points` (N, K, 2) mapped by `matrices` (N, 2, 3)."""
    moved: Floats = np.einsum("nij,nkj->nki", matrices[:, :, :2], points) + matrices[:, None, :, 2]
    return moved


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the photo around a face, which may reach over the photo's border."""

    left: int
    top: int
    side: int  # photo pixels

    def clipped(self, height: int, width: int) -> tuple[slice, slice]:
        """Return the rows and columns of the photo that lie inside the square."""
        rows = slice(min(max(self.top, 0), height), min(max(self.top + self.side, 0), height))
        columns = slice(min(max(self.left, 0), width), min(max(self.left + self.side, 0), width))
        return rows, columns

    def local(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Return where rows and columns of the photo, as `clipped` gives them, lie in the square."""
        return (
            slice(rows.start - self.top, rows.stop - self.top),
            slice(columns.start - self.left, columns.stop - self.left),
        )


def region_of(landmarks: Floats, least_px: int) -> Region:
    """Return the square that holds what any recogniser sees of a face, at least `least_px` wide.

    `landmarks` is (5, 2) in photo pixels. A square of `least_px` or less is worked on at the photo's own scale.
    """
    to_photo = inverse(similarities(landmarks[None], ARCFACE_112))
    x0, y0, x1, y1 = REGION_112
    corners = transform(to_photo, np.array([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]))[0]
    low, high = corners.min(axis=0), corners.max(axis=0)
    side = max(int(np.ceil((high - low).max())) + 1, least_px)
    left, top = np.round((low + high) / 2 - (side - 1) / 2).astype(int)
    return Region(int(left), int(top), side)


def same_face(first: Face, second: Face) -> bool:
    """Return whether two detections are of one face: their landmarks lie close by the size of the face."""
    one, other = np.array(first.landmarks), np.array(second.landmarks)
    eyes = max(float(np.linalg.norm(one[0] - one[1])), 0.3 * first.size_px)
    return bool(np.linalg.norm(one - other, axis=1).mean() < SAME_FACE * eyes)


def beside(faces: Sequence[Face]) -> list[tuple[Face, ...]]:
    """Return for each face of a photo those others whose region it touches, in their order."""
    return [tuple(faces[number] for number in near) for near in neighbours(faces)]


def neighbours(faces: Sequence[Face]) -> list[tuple[int, ...]]:
    """Return for each face of a photo the places in `faces` of those others whose region it touches."""
    regions = [region_of(np.array(face.landmarks), 1) for face in faces]
    return [
        tuple(number for number in range(len(faces)) if number != own and _touch(region, regions[number]))
        for own, region in enumerate(regions)
    ]


def _touch(one: Region, other: Region) -> bool:
    across = min(one.left + one.side, other.left + other.side) - max(one.left, other.left)
    down = min(one.top + one.side, other.top + other.side) - max(one.top, other.top)
    return across > 0 and down > 0
