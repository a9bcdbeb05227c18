"""The aligned frame of a face: where a change stays in place while the face moves through a clip.

A recogniser sees a face through the similarity that puts its landmarks on a template, so a change that is fixed in the
frame of such a template is the same in every frame of the clip for each of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uncnn.plugins.api import Budget, Pixels
from uncnn.plugins.engine.batch import FaceBatch, bounded_batch
from uncnn.plugins.engine.patches import PATCH_PX
from uncnn.plugins.geometry import ARCFACE_112, REGION_112, Floats, Region, inverse, similarities, transform
from uncnn.plugins.recognisers.onnx_recogniser import crop
from uncnn.plugins.recognisers.warp import warp
from uncnn.plugins.resampling import gaussian

_SIDE_112: Final = REGION_112[3] - REGION_112[1] + 2.0
_LEFT_112: Final = (REGION_112[0] + REGION_112[2] - _SIDE_112) / 2
_TOP_112: Final = (REGION_112[1] + REGION_112[3] - _SIDE_112) / 2

UNIT_PX: Final = PATCH_PX / _SIDE_112
"""Pixels of the aligned frame to an ArcFace-112 pixel."""

TEMPLATE: Floats = (ARCFACE_112 - (_LEFT_112, _TOP_112) + 0.5) * UNIT_PX - 0.5
"""The five points in the aligned frame, which is PATCH_PX wide and holds all that a recogniser sees of a face."""

ZOOMS: Final[tuple[float, ...]] = tuple(2.0 ** (-half / 2) for half in range(7))
"""How large a face may lie in its frame, beside `TEMPLATE`: a small one at about the picture's own scale."""

_COARSER: Final = 0.9
"""A frame whose pixels are so much of the picture's, or more, is coarse enough."""


def zoom_of(scale: float) -> float:
    """Return which of `ZOOMS` a face has, of which a pixel of its frame would be `scale` pixels of the picture at 1."""
    return next((zoom for zoom in ZOOMS if scale / zoom >= _COARSER), ZOOMS[-1])


def template_of(zoom: float) -> Floats:
    """Return the five points, (5, 2), in the aligned frame of a face of this size in it, in whose middle it stays."""
    middle = (PATCH_PX - 1) / 2
    points: Floats = middle + (TEMPLATE - middle) * zoom
    return points


def to_aligned(landmarks: Floats, zoom: float = 1.0) -> Floats:
    """Return the similarity, (2, 3), from the pixels of a picture to the aligned frame of the face at `landmarks`."""
    matrix: Floats = similarities(landmarks[None], template_of(zoom))[0]
    return matrix


def scale_of(landmarks: Floats, zoom: float = 1.0) -> float:
    """Return how many pixels of the picture a pixel of the aligned frame is."""
    return float(scales_of(landmarks[None], zoom)[0])


def scales_of(landmarks: Floats, zoom: float = 1.0) -> Floats:
    """Return the same of many faces at once, (N,), at `landmarks` (N, 5, 2)."""
    matrices = similarities(landmarks, template_of(zoom))
    scales: Floats = 1 / np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    return scales


def aligned(picture: Pixels, landmarks: Floats, zoom: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the face at `landmarks` in a `picture` (H, W, 3) in its aligned frame, (1, 3, P, P) in 0..255.

    And how much of each pixel lies in the picture, (1, 1, P, P). A face that is larger than the frame is averaged.
    """
    matrix = to_aligned(landmarks, zoom)
    factor = max(int(scale_of(landmarks, zoom)), 1)
    region = region_in(landmarks, zoom)
    rows, columns = region.clipped(*picture.shape[:2])
    piece = Image.fromarray(np.ascontiguousarray(picture[rows, columns]))
    if piece.width == 0 or piece.height == 0:
        return torch.zeros(1, 3, PATCH_PX, PATCH_PX), torch.zeros(1, 1, PATCH_PX, PATCH_PX)
    reduced = np.asarray(piece.reduce(factor))
    # a pixel of the reduced piece is `factor` of the picture's, counted from the piece's corner
    offset = np.array([columns.start, rows.start]) + (factor - 1) / 2
    own = np.concatenate([matrix[:, :2] * factor, (matrix[:, :2] @ offset + matrix[:, 2])[:, None]], axis=1)
    inside = np.full_like(reduced, 255)
    pixels, mask = (crop(each, own, (PATCH_PX, PATCH_PX)) for each in (reduced, inside))
    return (
        torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float(),
        torch.from_numpy(mask[..., :1].copy()).permute(2, 0, 1)[None].float() / 255,
    )


def face_in_frame(picture: Pixels, landmarks: Floats, budget: Budget, seed: int, device: str) -> FaceBatch:
    """Return the face at `landmarks`, (5, 2), of a picture (H, W, 3) in its aligned frame, as a batch of one."""
    patch, inside = (each.to(device) for each in aligned(picture, landmarks))
    return bounded_batch(patch, inside, TEMPLATE[None], [scale_of(landmarks)], picture.shape[:2], budget, [seed])


def region_in(landmarks: Floats, zoom: float = 1.0) -> Region:
    """Return the square of the picture that holds the aligned frame of the face at `landmarks`."""
    side = PATCH_PX - 1.0
    corners = np.array([[[0.0, 0.0], [side, 0.0], [side, side], [0.0, side]]])
    around = transform(inverse(to_aligned(landmarks, zoom)[None]), corners)[0]
    low, high = np.floor(around.min(axis=0)).astype(int), np.ceil(around.max(axis=0)).astype(int)
    return Region(int(low[0]), int(low[1]), int((high - low).max()) + 1)


def placed(change: Tensor, landmarks: Floats, zoom: float = 1.0) -> tuple[Region, Tensor]:
    """Return where in the picture a change, (3, P, P) of the aligned frame, lies, and it there, (3, side, side)."""
    region = region_in(landmarks, zoom)
    back = inverse(to_aligned(landmarks, zoom)[None])[0]
    back[:, 2] -= (region.left, region.top)
    smooth = softened(change[None], scale_of(landmarks, zoom))
    matrices = torch.from_numpy(back[None]).float()
    return region, warp(smooth, matrices, region.side, region.side)[0]


def softened(change: Tensor, scale: float) -> Tensor:
    """Return a change, (N, 3, P, P), without what a picture of `scale` pixels to one of its own cannot hold."""
    if scale >= 1:
        return change
    sigma = 0.5 * (1 / scale**2 - 1) ** 0.5
    blur = gaussian(change.shape[3], change.new_tensor([sigma]))[0]
    return blur @ change @ blur.T
