"""The views of a photo that RetinaFace looks at: several sizes, some mirrored, large ones in tiles.

No face is found well at every size, so each photo is seen at three sizes, 3 : 2 : 1, and
at further halves until a face as large as the photo fits. The largest is three times the photo's own size (the
published weights find small faces better when enlarged) or what `view_pixels` allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from uncnn.plugins.api import Pixels

LARGEST_SCALE = 3.0
STEPS = (1.0, 2 / 3, 1 / 3)
COARSEST_SIDE = 512  # working pixels: the shorter side of the last view, and RetinaFace's largest anchor
TILE = 2048  # working pixels: the side of the largest square that goes through the network at once
TILE_OVERLAP = 256  # working pixels: the largest face that a tiled view is asked about, so one tile holds it whole
MULTIPLE = 32  # the coarsest stride


@dataclass(frozen=True, slots=True)
class Span:
    """One axis of a tile: where it starts, and the part in which the centre of a face makes it this tile's."""

    start: int
    core: tuple[float, float]


@dataclass(frozen=True, slots=True)
class View:
    """A photo at one size, in working pixels."""

    width: int
    height: int
    mirrored: bool

    def render(self, source: Pixels) -> Pixels:
        """Return `source`, (H, W, 3), at this view's size."""
        if source.shape[:2] == (self.height, self.width):
            return source
        resized = Image.fromarray(source).resize((self.width, self.height), Image.Resampling.BICUBIC)
        return np.asarray(resized)

    @property
    def tile(self) -> tuple[int, int]:
        """Return the height and width of every tile, multiples of 32."""
        return _tile_side(self.height), _tile_side(self.width)

    def tiles(self) -> Iterator[tuple[Span, Span]]:
        """Give each tile as its vertical and horizontal span."""
        for vertical in _spans(self.height):
            for horizontal in _spans(self.width):
                yield vertical, horizontal


def ladder(width: int, height: int, view_pixels: int, largest_scale: float = LARGEST_SCALE) -> list[View]:
    """Return the views of a photo of `width` x `height` pixels, the finest first, none above `view_pixels`.

    None is enlarged by more than `largest_scale`.

    From the third on they are mirrored: what looks like a face only one way round does not get every vote.
    """
    finest = min(largest_scale, (view_pixels / (width * height)) ** 0.5)
    scales = [finest * step for step in STEPS]
    while min(width, height) * scales[-1] > COARSEST_SIDE:
        scales.append(scales[-1] / 2)
    return [
        View(max(round(width * scale), 1), max(round(height * scale), 1), number >= 2)
        for number, scale in enumerate(scales)
    ]


def _count(length: int) -> int:
    return 1 if length <= TILE else -(-(length - TILE_OVERLAP) // (TILE - TILE_OVERLAP))


def _tile_side(length: int) -> int:
    count = _count(length)
    side = -(-(length + (count - 1) * TILE_OVERLAP) // count)
    return -(-side // MULTIPLE) * MULTIPLE


def _spans(length: int) -> list[Span]:
    """Return spans that cover `length`, evenly placed; their cores meet half way through the overlaps."""
    count, side = _count(length), _tile_side(length)
    starts = [round(number * (length - side) / max(count - 1, 1)) for number in range(count)]
    borders = [(after + before + side) / 2 for before, after in pairwise(starts)]
    edges = [-np.inf, *borders, np.inf]
    return [Span(start, (edges[number], edges[number + 1])) for number, start in enumerate(starts)]
