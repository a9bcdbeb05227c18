"""A face's own frame: one pixel to a pixel of the ArcFace-112 template, with a margin; what is drawn there on a patch.

Values are drawn at five densities: 1, 1/2, ... 1/16 a pixel of the frame. The bands of a patch have densities of their
own, since a face may be large or small in it, and turned; each band's values are read off between the two nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins import geometry
from uncnn.plugins.api import Faces
from uncnn.plugins.generator.network import HEADS, MARGIN

TEMPLATE: Final = geometry.ARCFACE_112 + MARGIN


def to_frame(faces: Faces) -> geometry.Floats:
    """Return the similarities, (N, 2, 3), from the pixels of each face's patch to its frame."""
    return geometry.similarities(faces.landmarks.cpu().numpy().astype(np.float64), TEMPLATE)


def values_of(
    drawn: Sequence[Tensor], matrices: geometry.Floats, sizes: Sequence[tuple[int, int]], like: Tensor
) -> list[Tensor]:
    """Return the values of bands of these `sizes`, (N, 3, h, w), finest first; differentiable in `drawn`.

    `drawn` has five heads, (N, 3, s, s) with s from 128 to 8; `matrices` are `to_frame`'s. The bands are those of a
    pyramid whose first band has the size of the patches: what each next one has is every second pixel of the one
    before. They are of the type and on the device of `like`.
    """
    units = np.log2(np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]))  # frame pixels to a patch pixel
    moved = torch.from_numpy(matrices).to(like)
    return [read_off(drawn, moved, units + level, level, size) for level, size in enumerate(sizes)]


def read_off(
    drawn: Sequence[Tensor], matrices: Tensor, octaves: geometry.Floats, level: int, size: tuple[int, int]
) -> Tensor:
    """Return one band's values, (N, 3, h, w): between the heads whose densities are next to the band's own.

    `octaves` (N,) says how many times the band's pixels are 2 frame pixels wide, as a power of 2.
    """
    places = _places(matrices, level, size)
    shares = np.clip(1 - np.abs(np.clip(octaves, 0, HEADS - 1)[:, None] - np.arange(HEADS)), 0, None)  # (N, heads)
    result = places.new_zeros(len(places), 3, *size)
    for head in range(HEADS):
        if not shares[:, head].any():
            continue
        share = torch.from_numpy(shares[:, head]).to(places)[:, None, None, None]
        side = drawn[head].shape[3] - 1
        grid = 2 * places / (2**head * side) - 1
        result += share * functional.grid_sample(drawn[head], grid, padding_mode="border", align_corners=True)
    return result


def _places(matrices: Tensor, level: int, size: tuple[int, int]) -> Tensor:
    """Return where the pixels of a band lie in the frame, (N, h, w, 2) x, y in frame pixels."""
    height, width = size
    ys, xs = (torch.arange(side).to(matrices) * 2**level for side in (height, width))
    points = torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)], dim=-1)
    linear, shift = matrices[:, :, :2], matrices[:, :, 2]
    return torch.einsum("nij,hwj->nhwi", linear, points) + shift[:, None, None, :]
