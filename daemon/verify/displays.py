"""How far a change shows on a phone, on a desktop screen and zoomed in, by ColorVideoVDP (`color_video_vdp`).

What was moved counts: the comparison is with the original as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from uncnn.daemon.verify.color_video_vdp import IDENTICAL, LEAST_PX, jod
from uncnn.daemon.verify.jod import Jod
from uncnn.daemon.verify.visibility import Square, check_sizes, face_square
from uncnn.daemon.verify.windows import Window, differing
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.perception.displays import DESKTOP, PHONE, ZOOMED, Display

_FILTER: Final = Image.Resampling.LANCZOS
_REACH: Final = 4  # pixels of the smaller photo: its filter reaches three


@dataclass(frozen=True, slots=True)
class Versions:
    """A photo and a changed copy of it, whole, (H, W, 3) uint8 sRGB."""

    original: Pixels
    changed: Pixels
    image: Image.Image  # the original
    window: Window | None  # outside of it both are equal; None: everywhere

    @classmethod
    def of(cls, original: Pixels, changed: Pixels) -> Versions:
        """Return both. Raises UncnnError: they have different sizes."""
        check_sizes(original, changed, "give the cloaked copy of that original")
        return cls(original, changed, Image.fromarray(original), differing(original, changed))

    def on(self, display: Display) -> float:
        """Return how far the change shows on a display that the photo is fitted to, in JOD."""
        return _jod(display, *self.fitted(display))

    def zoomed_in(self, face: Face) -> float | None:
        """Return how far the change of a face shows to who looks closely, in JOD; None: it is too small to tell.

        That is the square of the face at twice the desktop's scale, as much of it as the screen holds.
        """
        square = face_square(face, self.original.shape)
        if square is None:
            return None
        if np.array_equal(self.original[square], self.changed[square]):
            return IDENTICAL
        return _jod(ZOOMED, *(zoomed(pixels, square) for pixels in (self.original, self.changed)))

    def fitted(self, display: Display) -> tuple[Pixels, Pixels]:
        """Return both scaled down to fit a display, and small ones as they are."""
        scale = display.scale(*self.original.shape[:2])
        if scale == 1:
            return self.original, self.changed
        shown = np.asarray(self.image.resize(_sides(self.original, scale), _FILTER))
        if self.window is None:
            return shown, shown
        copy = shown.copy()
        _scale_into(copy, self.changed, self.window)
        return shown, copy


def on_displays(original: Pixels, changed: Pixels, faces: Sequence[Face] = ()) -> tuple[Jod, tuple[float | None, ...]]:
    """Return how far `changed` shows against `original`, whole photos (H, W, 3) uint8 sRGB, and that of each face.

    Phone and desktop: the photo scaled down until the display holds it, across the width of a phone; a smaller photo
    is shown as it is. At most 2.6 megapixels are compared at a time, in less than 150 MB.

    Raises UncnnError: the photos have different sizes.
    """
    versions = Versions.of(original, changed)
    closer = tuple(versions.zoomed_in(face) for face in faces)
    most = min((seen for seen in closer if seen is not None), default=None)
    return Jod(versions.on(PHONE), versions.on(DESKTOP), most), closer


def _scale_into(shown: Pixels, photo: Pixels, window: Window) -> None:
    """Scale a photo down to `shown`, (H, W, 3), where it is written, but only what its `window` has part in."""
    wanted, taken, edges = [], [], []
    for part, side, size in zip(window, photo.shape, shown.shape[:2], strict=False):
        ratio = side / size
        own = slice(max(int(part.start / ratio) - _REACH, 0), min(int(part.stop / ratio) + 1 + _REACH, size))
        first, last = own.start * ratio, min(own.stop * ratio, side)
        around = slice(max(int(first - _REACH * ratio), 0), int(last + _REACH * ratio) + 1)
        wanted.append(own)
        taken.append(around)
        edges.append((first - around.start, last - around.start))
    (top, bottom), (left, right) = edges
    rows, columns = (own.stop - own.start for own in wanted)
    crop = Image.fromarray(np.ascontiguousarray(photo[tuple(taken)]))
    shown[tuple(wanted)] = np.asarray(crop.resize((columns, rows), _FILTER, box=(left, top, right, bottom)))


def zoomed(pixels: Pixels, square: Square) -> Pixels:
    """Return the `square` of a photo, (H, W, 3), at twice the scale of the desktop: its middle, as the screen does."""
    scale = ZOOMED.scale(*pixels.shape[:2])
    face = np.ascontiguousarray(pixels[square])
    shown = face if scale == 1 else np.asarray(Image.fromarray(face).resize(_sides(face, scale), _FILTER))
    most = ZOOMED.height
    top, left = (max(side - most, 0) // 2 for side in shown.shape[:2])
    return shown[top : top + most, left : left + most]


def _sides(pixels: Pixels, scale: float) -> tuple[int, int]:
    """Return width and height at that scale."""
    return max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1)


def _jod(display: Display, original: Pixels, changed: Pixels) -> float:
    """Return the JOD of two pictures of one size as `display` shows them, pixel by pixel; a line is doubled."""
    repeats = [-(-LEAST_PX // side) for side in original.shape[:2]]
    one, other = (pixels if max(repeats) == 1 else np.tile(pixels, (*repeats, 1)) for pixels in (original, changed))
    return jod(display, one, other)
