"""A photo of a face, cut down to what recognisers see of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.geometry import Floats, Region, region_of

PIXEL_LIMIT = 100_000_000
MARGIN = 0.125  # of the region's side, on each side of it: for templates that are looser than the known ones
LARGEST_PX = 512  # a reduced patch has more than half of it, and no known input shows as many pixels of it


def decode(data: bytes) -> Pixels:
    """Return a photo's bytes as (H, W, 3) uint8 RGB, upright.

    Raises:
        ValueError: it has more than `PIXEL_LIMIT` pixels. Exception: whatever Pillow's parsers raise.
    """
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(data)) as image:
        if image.width * image.height > PIXEL_LIMIT:
            raise ValueError(f"{image.width} x {image.height} pixels, above {PIXEL_LIMIT:,}; make it smaller")
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def main_face(faces: Sequence[Face], shape: tuple[int, ...]) -> Face:
    """Return the face that the photo is of.

    The area of its box less twice its squared distance from the centre, as FaceNet's alignment of LFW has it
    (Sandberg, github.com/davidsandberg/facenet, src/align/align_dataset_mtcnn.py).
    """

    def weight(face: Face) -> float:
        x0, y0, x1, y1 = face.box
        across, down = (x0 + x1) / 2 - shape[1] / 2, (y0 + y1) / 2 - shape[0] / 2
        return (x1 - x0) * (y1 - y0) - 2 * (across**2 + down**2)

    return max(faces, key=weight)


def cut(photo: Pixels, face: Face) -> tuple[Pixels, Floats]:
    """Return what any recogniser sees of `face`, (H, W, 3) uint8 RGB, and its five points there, (5, 2).

    A patch wider than `LARGEST_PX` is reduced by a whole factor, each pixel the mean of a square.
    """
    landmarks = np.array(face.landmarks, dtype=np.float64)
    region = region_of(landmarks, 1)
    grown = round(region.side * MARGIN)
    rows, columns = Region(region.left - grown, region.top - grown, region.side + 2 * grown).clipped(*photo.shape[:2])
    patch = np.ascontiguousarray(photo[rows, columns])
    landmarks -= (columns.start, rows.start)
    factor = -(-max(patch.shape[:2]) // LARGEST_PX)
    if factor > 1:
        patch = np.asarray(Image.fromarray(patch).reduce(factor))
        landmarks = (landmarks + 0.5) / factor - 0.5  # the centre of the first pixel is at 0, 0
    return patch, landmarks
