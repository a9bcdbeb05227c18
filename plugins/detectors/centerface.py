"""CenterFace: finds faces as points, by a network that has nothing in common with RetinaFace's; never imports torch.

Xu, Yan, Sun, Yang, Luo, "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019, arXiv 1911.03599.
The weights are the authors', see exporters/models/centerface/NOTICE.

It is a second opinion on where faces are, not the detector that a cloak relies on: one look at the photo, at its own
size or smaller, no tiles. A face that both networks miss is rarer than one that either misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from uncnn.plugins.api import DetectorSource, Face, Pixels
from uncnn.plugins.detectors.retinaface_boxes import SMALLEST_PX, Floats, face_of, overlap
from uncnn.plugins.detectors.retinaface_forward import DetectorError, read_detector
from uncnn.plugins.recognisers.model_files import check_whole
from uncnn.plugins.recognisers.sessions import Provider, make_session, providers_for

INPUT: Final = "images"
OUTPUTS: Final = ("heat", "sizes", "offsets", "landmarks")
"""For (N, 3, H, W) images: (N, 1, h, w), (N, 2, h, w), (N, 2, h, w), (N, 10, h, w), where h is H / 4."""

THRESHOLD: Final = 0.15  # the most at which the tuned half of WIDER FACE meets its bar: docs/models.md, "Two looks"
VIEW_PIXELS: Final = 800_000
MULTIPLE: Final = 32  # the coarsest stride
STRIDE: Final = 4  # working pixels between two points of the outputs
SAME_FACE_IOU: Final = 0.3  # the authors': of boxes that overlap so much the best one stays
LARGEST_LOG: Final = 8.0  # of a side, in strides: no photo holds a larger face


@dataclass(frozen=True, slots=True)
class CenterFace:
    """A face detector around a session of the network.

    `threshold` is the least score of a face. A photo of more than `view_pixels` is looked at smaller: one of 12
    megapixels at 0.26 of its size.
    """

    session: Any
    threshold: float = THRESHOLD
    view_pixels: int = VIEW_PIXELS

    def detect(self, photo: Pixels) -> list[Face]:
        """Return the faces of `photo`, (H, W, 3) uint8 RGB, best score first, in photo pixels."""
        height, width = photo.shape[:2]
        scale = min((self.view_pixels / (width * height)) ** 0.5, 1.0)
        if min(width, height) * scale < SMALLEST_PX:
            return []  # no face fits into what is left of such a strip
        columns, rows = (-(-round(side * scale) // MULTIPLE) * MULTIPLE for side in (width, height))
        view = np.asarray(Image.fromarray(photo).resize((columns, rows), Image.Resampling.BICUBIC))
        images = np.ascontiguousarray(view.transpose(2, 0, 1)[None], np.float32)
        points, scores = decode(self.session.run(OUTPUTS, {INPUT: images}), self.threshold)
        points = points * np.array([width / columns, height / rows], np.float32)
        faces = (face_of(each, float(score), (width, height)) for each, score in zip(points, scores, strict=True))
        return [face for face in faces if face.size_px >= SMALLEST_PX]


def decode(outputs: Sequence[Floats], threshold: float) -> tuple[Floats, Floats]:
    """Return what the network saw in one image: points (N, 7, 2) in working pixels and scores (N,), the best first.

    The points are the box's two corners and the five landmarks, x and y, 0 at the left edge of the first pixel. Where
    the heat is high a face has its middle; the other outputs there hold, y before x, the logarithms of its sides and
    the rest of its middle, in strides, and the landmarks as shares of the box from its first corner. (The authors cut
    the box at the photo's border before they place the landmarks in it; here they are placed first.)
    """
    heat, sizes, offsets, landmarks = (output[0] for output in outputs)
    row, column = np.nonzero(heat[0] >= threshold)
    scores = heat[0, row, column]
    middles = (np.stack([column, row], axis=1) + 0.5 + offsets[::-1, row, column].T) * STRIDE
    sides = np.exp(np.minimum(sizes[::-1, row, column].T, LARGEST_LOG)) * STRIDE
    first = middles - sides / 2
    five = landmarks[:, row, column].T.reshape(-1, 5, 2)[:, :, ::-1] * sides[:, None] + first[:, None]
    points = np.concatenate([first[:, None], (first + sides)[:, None], five], axis=1).astype(np.float32)
    best = _best(points[:, :2].reshape(-1, 4), scores)
    return points[best], scores[best]


def _best(boxes: Floats, scores: Floats) -> list[int]:
    """Return the numbers of the boxes that no better one overlaps, the best first: non-maximum suppression."""
    left, kept = np.argsort(-scores, kind="stable"), []
    while len(left):
        kept.append(int(left[0]))
        left = left[1:][overlap(boxes[left[0]], boxes[left[1:]]) < SAME_FACE_IOU]
    return kept


def load(source: DetectorSource) -> CenterFace:
    """Return CenterFace in ONNX Runtime. Raises DetectorError: its file is not the one that it should be."""
    path, sha256 = source.files["centerface.onnx"]
    return load_onnx(path, providers_for(source.device), sha256=sha256)


def load_onnx(path: Path, providers: Sequence[Provider], threads: int | None = None, *, sha256: str) -> CenterFace:
    """Return the detector of the file that `exporters.centerface` wrote; the bytes that were hashed are what runs.

    Raises:
        DetectorError: the file is missing, damaged, or another than the one of this hash.
    """
    content = read_detector(path, sha256)
    try:
        check_whole(path, content)
        return CenterFace(make_session(content, providers, threads))
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        raise DetectorError(f"CenterFace's ONNX file {path} cannot be read ({error}): install uncnn again") from error
