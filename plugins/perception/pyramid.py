"""A Laplacian pyramid: a picture as the sum of bands, each with half the spatial frequencies of the one before.

Burt, Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions on Communications 31(4), 1983; their
kernel with a = 0.4. As matrix products the steps are several times faster on a CPU than as depthwise convolutions.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

KERNEL = (0.05, 0.25, 0.4, 0.25, 0.05)


def split(picture: Tensor, levels: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the bands of `picture` (N, C, P, P), the finest first, `levels` of them and what is left.

    And what is left after each level, enlarged to the size of its band: what that band lies on.
    """
    bands, grounds, rest = [], [], picture
    for down, up in steps(picture.shape[3], levels, str(picture.device)):
        small = down @ rest @ down.T
        ground = up @ small @ up.T
        bands.append(rest - ground)
        grounds.append(ground)
        rest = small
    return [*bands, rest], grounds


def merge(bands: Sequence[Tensor]) -> Tensor:
    """Return the picture whose bands these are, (N, C, P, P): the inverse of `split`."""
    *finer, picture = bands
    pairs = zip(finer, steps(bands[0].shape[3], len(finer), str(picture.device)), strict=True)
    for band, (_, up) in reversed(list(pairs)):
        picture = band + up @ picture @ up.T
    return picture


def limited(bands: Sequence[Tensor]) -> list[Tensor]:
    """Return each of `bands` (N, C, h, w) without what is too coarse for it; the last one as it is.

    Whatever is given as a band then adds hardly anything to the bands that are coarser.
    """
    *finer, rest = bands
    pairs = zip(finer, steps(bands[0].shape[3], len(finer), str(rest.device)), strict=True)
    return [*(band - up @ (down @ band @ down.T) @ up.T for band, (down, up) in pairs), rest]


def reduced(picture: Tensor, levels: int) -> list[Tensor]:
    """Return `picture` (N, C, P, P) in the size of each band."""
    sizes = [picture]
    for down, _ in steps(picture.shape[3], levels, str(picture.device)):
        sizes.append(down @ sizes[-1] @ down.T)
    return sizes


@functools.lru_cache(maxsize=16)
def steps(side: int, levels: int, device: str) -> list[tuple[Tensor, Tensor]]:
    """Return for each level the matrices that halve a column of pixels, and that double it again."""
    matrices = []
    for _ in range(levels):
        half = (side + 1) // 2
        down, up = torch.zeros(half, side), torch.zeros(side, half)
        for offset, weight in enumerate(KERNEL, -2):
            for row in range(half):
                down[row, _mirrored(2 * row + offset, side)] += weight
            for row in range(side):
                if (row + offset) % 2 == 0:
                    up[row, min(max((row + offset) // 2, 0), half - 1)] += 2 * weight
        matrices.append((down.to(device), up.to(device)))
        side = half
    return matrices


def _mirrored(index: int, side: int) -> int:
    return -index - 1 if index < 0 else min(index, 2 * side - 1 - index)
