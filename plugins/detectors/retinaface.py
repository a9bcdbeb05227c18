"""RetinaFace: finds the faces of a photo of any size, from 24 px to the whole of it.

Deng, Guo, Ververas, Kotsia, Zafeiriou, "RetinaFace: Single-shot Multi-level Face Localisation in the Wild", CVPR 2020.

A photo is seen at several sizes (`retinaface_views`), a large one in tiles; what the views agree on is a face
(`retinaface_boxes`). NumPy and Pillow do everything but the network itself, which is a `Forward`: in ONNX Runtime here,
in torch in `retinaface_network`. This module never imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors.retinaface_boxes import Candidates, Floats, decode, fuse, join, mirror
from uncnn.plugins.detectors.retinaface_forward import DetectorError, Forward, InputFormat, onnx_forward
from uncnn.plugins.detectors.retinaface_views import LARGEST_SCALE, MULTIPLE, TILE, Span, View, ladder
from uncnn.plugins.recognisers.sessions import Provider

__all__ = ["DEFAULT_THRESHOLD", "DetectorError", "Forward", "InputFormat", "RetinaFace", "load_onnx"]

DEFAULT_THRESHOLD = 0.46  # a missed face is worse than a cloaked dog: benchmarks/detector.py prints what each costs
VIEW_PIXELS = 12_000_000
BATCH_PIXELS = TILE * TILE
NARROWEST = 8  # half of the smallest face: a narrower strip shows none, and may be a hundred million pixels long


@dataclass(frozen=True, slots=True)
class RetinaFace:
    """A face detector around a network.

    `threshold` is the least score of a face. `view_pixels` bounds the work, whatever the photo: its largest view has no
    more pixels, all views together about 1.6 times as many. With the default, photos up to 1.3 megapixels are enlarged
    three times; one of 12 megapixels is searched at its own size, where most faces of 24 px and more are found; one of
    100 megapixels at a third of it, where most of 70 px and more are. `largest_scale` bounds how far a small photo is
    enlarged.
    """

    forward: Forward
    threshold: float = DEFAULT_THRESHOLD
    view_pixels: int = VIEW_PIXELS
    largest_scale: float = LARGEST_SCALE

    def detect(self, photo: Pixels) -> list[Face]:
        """Return the faces of `photo`, (H, W, 3) uint8 RGB, best score first, in photo pixels."""
        return self.detect_batch([photo])[0]

    def detect_batch(self, photos: Sequence[Pixels]) -> list[list[Face]]:
        """Return the faces of each of `photos`; those of one size go through the network together."""
        faces: list[list[Face]] = [[] for _ in photos]
        for lot in _lots(photos, self._ladder):
            for number, found in zip(lot, self._detect_lot([photos[number] for number in lot]), strict=True):
                faces[number] = found
        return faces

    def _detect_lot(self, photos: list[Pixels]) -> list[list[Face]]:
        """Return the faces of photos of one size."""
        height, width = photos[0].shape[:2]
        views = self._ladder(width, height)
        seen: list[list[Candidates]] = [[] for _ in photos]
        sources = photos
        for number, view in enumerate(views):
            rendered = [view.render(source) for source in sources]
            if view.width < width:
                sources = rendered  # a smaller view is made from the one before, not from a huge photo again
            for mine, found in zip(seen, self._look(rendered, view, number, (width, height)), strict=True):
                mine.append(found)
        scales = [(view.width * view.height / (width * height)) ** 0.5 for view in views]
        return [fuse(join(parts), scales, self.threshold, (width, height)) for parts in seen]

    def _ladder(self, width: int, height: int) -> list[View]:
        return ladder(width, height, self.view_pixels, self.largest_scale)

    def _look(self, images: list[Pixels], view: View, number: int, size: tuple[int, int]) -> list[Candidates]:
        """Return what the network sees in each of `images`, one view of photos of `size`, in photo pixels."""
        parts: list[list[Candidates]] = [[] for _ in images]
        height, width = view.tile
        scale = np.array([size[0] / view.width, size[1] / view.height], np.float32)
        for tile in view.tiles():
            crops = [_crop(image, tile, view) for image in images]
            outputs = self.forward(self.forward.input_format.prepare(crops, height, width))
            for row, part in enumerate(parts):
                found = decode(outputs, row, height, width, number)
                if view.mirrored:
                    found = mirror(found, crops[row].shape[1])
                part.append(_placed(found, tile, scale))
        return [join(part) for part in parts]


def load_onnx(
    path: Path, providers: Sequence[Provider], threads: int | None = None, sha256: str | None = None
) -> RetinaFace:
    """Return the detector of a file that `retinaface_network.export_onnx` wrote, in ONNX Runtime.

    `sha256` is what the file must hash to; the bytes that were hashed are the ones that run.

    Raises:
        DetectorError: the file is missing, damaged, from elsewhere, or another than the one of this hash.
    """
    return RetinaFace(onnx_forward(path, providers, threads, sha256))


def _lots(photos: Sequence[Pixels], views_of: Callable[[int, int], list[View]]) -> Iterator[list[int]]:
    """Give the numbers of photos of one size, but of strips, as many at a time as fit in one pass of the network."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for number, photo in enumerate(photos):
        if min(photo.shape[:2]) >= NARROWEST:
            by_size.setdefault(photo.shape, []).append(number)
    for (height, width, _), numbers in by_size.items():
        tile_height, tile_width = views_of(width, height)[0].tile
        step = max(BATCH_PIXELS // max(tile_height * tile_width, MULTIPLE**2), 1)
        yield from (numbers[start : start + step] for start in range(0, len(numbers), step))


def _crop(image: Pixels, tile: tuple[Span, Span], view: View) -> Pixels:
    """Return the part of a view that a tile covers, mirrored where the view is."""
    vertical, horizontal = tile
    height, width = view.tile
    crop = image[vertical.start : vertical.start + height, horizontal.start : horizontal.start + width]
    return crop[:, ::-1] if view.mirrored else crop


def _placed(found: Candidates, tile: tuple[Span, Span], scale: Floats) -> Candidates:
    """Return a tile's own candidates, those whose centre lies in its core, in photo pixels."""
    vertical, horizontal = tile
    points = found.points + np.array([horizontal.start, vertical.start], np.float32)
    x, y = points[:, :2].mean(axis=1).T
    own = (x >= horizontal.core[0]) & (x < horizontal.core[1]) & (y >= vertical.core[0]) & (y < vertical.core[1])
    return Candidates(points * scale, found.probabilities, found.views).take(own)
