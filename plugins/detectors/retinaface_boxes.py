"""The arithmetic of RetinaFace: anchors, what the network's numbers mean, and one face out of what several views saw.

Deng, Guo, Ververas, Kotsia, Zafeiriou, "RetinaFace: Single-shot Multi-level Face Localisation in the Wild", CVPR 2020.
The paper keeps the best box of overlapping ones (non-maximum suppression, over all scales). We depart: every view of
the photo (`retinaface_views`) votes, so that what looks like a face at one size only does not become one.

Coordinates here are continuous: 0 is the left edge of the first pixel. (Measured: mirroring a photo mirrors the
published network's boxes about half its width, and enlarging it multiplies them, both to about 0.1 working pixels.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.plugins.api import Face

Floats: TypeAlias = npt.NDArray[np.float32]
Outputs: TypeAlias = tuple[Floats, Floats, Floats]
"""What a forward gives: boxes (N, A, 4), class logits (N, A, 2), landmarks (N, A, 10), regressed from A anchors."""

LEVELS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))  # stride and anchor sizes of each level, working pixels
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MIRRORED_POINTS = [0, 1, 3, 2, 4, 6, 5]  # two corners of the box, then the landmarks with left and right exchanged

SAME_FACE_IOU = 0.5  # boxes that overlap so much are views of one face
DUPLICATE_IOU = 0.4  # and those that overlap so much with a stronger one are not another face
UNSEEN = 0.02  # what a view that saw nothing says about a face: also the least probability worth decoding
VOTES_PX = (16.0, 256.0)  # a view is asked about faces of this size in it: smaller than any anchor says little,
# and larger ones it sees in parts, or across the border of a tile
SMALLEST_PX = 16.0  # smaller faces are left out: no recogniser reads them


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes that may be faces, from one or more views of a photo."""

    points: Floats  # (N, 7, 2): the box's two corners, then the five landmarks
    probabilities: Floats  # (N,)
    views: npt.NDArray[np.intp]  # (N,) which view saw it

    @property
    def boxes(self) -> Floats:
        """Return (N, 4): x0, y0, x1, y1."""
        return self.points[:, :2].reshape(-1, 4)

    def take(self, which: npt.NDArray[Any]) -> Candidates:
        """Return those that a mask or an index selects."""
        return Candidates(self.points[which], self.probabilities[which], self.views[which])


@lru_cache(maxsize=64)
def anchors(height: int, width: int) -> Floats:
    """Return the anchors of a working image, (A, 3): centre x, centre y and size in working pixels; read-only."""
    levels = []
    for stride, sizes in LEVELS:
        y, x = np.mgrid[0 : -(-height // stride), 0 : -(-width // stride)]
        centres = (np.stack([x, y], axis=-1).reshape(-1, 1, 2) + 0.5) * stride
        size = np.array(sizes, np.float32).reshape(1, -1, 1)
        shape = (len(centres), len(sizes))
        levels.append(np.concatenate([np.broadcast_to(centres, (*shape, 2)), np.broadcast_to(size, (*shape, 1))], -1))
    table = np.concatenate([level.reshape(-1, 3) for level in levels]).astype(np.float32)
    table.flags.writeable = False
    return table


def decode(outputs: Outputs, number: int, height: int, width: int, view: int) -> Candidates:
    """Return what the network saw in image `number` of a batch of `height` x `width` working pixels."""
    boxes, logits, landmarks = (output[number] for output in outputs)
    probabilities = 1 / (1 + np.exp(np.clip(logits[:, 0] - logits[:, 1], -50, 50)))
    seen = np.flatnonzero(probabilities >= UNSEEN)
    anchor = anchors(height, width)[seen]
    centre, size = anchor[:, None, :2], anchor[:, None, 2:]
    middle = centre + boxes[seen, None, :2] * CENTRE_VARIANCE * size
    half = size * np.exp(np.minimum(boxes[seen, None, 2:] * SIZE_VARIANCE, 4.0)) / 2
    five = centre + landmarks[seen].reshape(-1, 5, 2) * CENTRE_VARIANCE * size
    points = np.concatenate([middle - half, middle + half, five], axis=1)
    return Candidates(points, probabilities[seen], np.full(len(seen), view))


def mirror(candidates: Candidates, width: int) -> Candidates:
    """Return candidates of a mirrored image of `width` pixels where they are in the image itself."""
    points = candidates.points[:, MIRRORED_POINTS].copy()
    points[:, :, 0] = width - points[:, :, 0]
    points[:, :2, 0] = points[:, 1::-1, 0]
    return Candidates(points, candidates.probabilities, candidates.views)


def join(parts: Sequence[Candidates]) -> Candidates:
    """Return the candidates of several views or tiles as one."""
    return Candidates(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.views for part in parts]),
    )


def overlap(box: Floats, boxes: Floats) -> Floats:
    """Return the intersection over union of `box`, (4,), with each of `boxes`, (N, 4)."""
    x0, y0, x1, y1 = boxes.T
    across = np.maximum(np.minimum(x1, box[2]) - np.maximum(x0, box[0]), 0)
    down = np.maximum(np.minimum(y1, box[3]) - np.maximum(y0, box[1]), 0)
    shared = across * down
    union = (x1 - x0) * (y1 - y0) + (box[2] - box[0]) * (box[3] - box[1]) - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)


def fuse(candidates: Candidates, scales: Sequence[float], threshold: float, size: tuple[int, int]) -> list[Face]:
    """Return the faces that the views agree on, best first.

    `scales` has the working pixels of a photo pixel for each view; `size` is the photo's width and height. A face's
    score never exceeds its strongest candidate's, so the search ends where those fall below `threshold`.
    """
    working = np.asarray(scales)
    fit = np.take_along_axis(_asked(_longer_side(candidates.points), working), candidates.views[:, None], axis=1)
    rest = candidates.take(fit[:, 0])
    rest = rest.take(np.argsort(-rest.probabilities, kind="stable"))
    faces = []
    while len(rest.probabilities) and rest.probabilities[0] >= threshold:
        shared = overlap(rest.boxes[0], rest.boxes)
        shared[0] = 1.0
        face = _agreed(rest.take(shared >= SAME_FACE_IOU), working, size)
        if face.score >= threshold and face.size_px >= SMALLEST_PX:
            faces.append(face)
        rest = rest.take(shared < DUPLICATE_IOU)
    return sorted(faces, key=lambda face: -face.score)


def _agreed(same: Candidates, scales: npt.NDArray[np.float64], size: tuple[int, int]) -> Face:
    """Return the face that candidates of one place make.

    A view's vote is its candidate's probability times its overlap with the fused box: views that see a face, but each
    somewhere else, do not agree. The score is the mean vote, in logits, of the views that can judge its size.
    """
    points = np.average(same.points, axis=0, weights=same.probabilities**2)
    votes = np.full(len(scales), UNSEEN)
    np.maximum.at(votes, same.views, same.probabilities * overlap(points[:2].ravel(), same.boxes))
    asked = _asked(_longer_side(points[None]), scales)[0]
    asked[same.views] = True
    odds = votes[asked] / (1 - np.minimum(votes[asked], 1 - 1e-6))
    return face_of(points, float(1 / (1 + np.exp(-np.log(odds).mean()))), size)


def _asked(sizes_px: Floats, scales: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which views can judge faces of these sizes in the photo, (N, V); the coarsest alone, if none can."""
    working = sizes_px[:, None] * scales
    asked: npt.NDArray[np.bool_] = (working >= VOTES_PX[0]) & (working <= VOTES_PX[1])
    asked[~asked.any(axis=1), np.argmin(scales)] = True
    return asked


def _longer_side(points: Floats) -> Floats:
    """Return the longer side of each box of (N, 7, 2) points."""
    return np.asarray((points[:, 1] - points[:, 0]).max(axis=1), np.float32)


def face_of(points: Floats, score: float, size: tuple[int, int]) -> Face:
    """Return a face with its box inside the photo, moved so that the centre of the first pixel is at 0, 0."""
    box = np.clip(points[:2], 0, size).ravel() - 0.5
    x0, y0, x1, y1 = (float(value) for value in box)
    left_eye, right_eye, nose, left_mouth, right_mouth = ((float(x) - 0.5, float(y) - 0.5) for x, y in points[2:])
    return Face((x0, y0, x1, y1), (left_eye, right_eye, nose, left_mouth, right_mouth), score)
