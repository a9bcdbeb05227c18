"""The change of the faces, put into the picture as its file stores it: nothing else of it is touched.

What people see was turned, converted to sRGB and reduced to 8 bits for the work. Going back that way with every pixel
would alter them all; so only the difference goes back, and only where there is one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from uncnn.daemon.photos.colour import stored_change
from uncnn.daemon.photos.deep import reduced
from uncnn.daemon.photos.turning import as_stored
from uncnn.daemon.photos.values import Palette, Photo, Samples, Stored
from uncnn.plugins.api import Pixels

Mask = npt.NDArray[np.bool_]

_ROWS = 256  # compared at a time: a large photo is not held once more
_COLOURS = 256


def changed(stored: Stored, photo: Photo, pixels: Pixels) -> Stored:
    """Return what `photo` stores with `pixels`, (H, W, 3) uint8 upright sRGB, to be seen in it.

    It is put into the samples of `stored`, which is of no use afterwards: a large photo is not held once more.
    """
    before, after = (as_stored(seen, stored.orientation) for seen in (photo.pixels, pixels))
    mask = differing(before, after)
    if not mask.any():
        return stored
    own = stored.samples[mask]
    change = stored_change(before[mask], after[mask], reduced(own), stored.profile)
    most = np.iinfo(own.dtype).max
    samples: Samples = stored.samples if stored.samples.flags.writeable else stored.samples.copy()
    samples[mask] = (own.astype(np.int32) + change * np.int32(most // 255)).clip(0, most).astype(own.dtype)
    if stored.palette is None:
        return replace(stored, samples=samples)
    palette = replace(stored.palette, indices=_dithered(samples, stored.palette, mask))
    return replace(stored, samples=samples, palette=palette)


def differing(before: Pixels, after: Pixels) -> Mask:
    """Return which pixels of two pictures, (H, W, 3), differ, (H, W)."""
    mask = np.zeros(before.shape[:2], np.bool_)
    for top in range(0, len(before), _ROWS):
        rows = slice(top, top + _ROWS)
        differs = before[rows] != after[rows]
        if differs.any():
            mask[rows] = differs[..., 0] | differs[..., 1] | differs[..., 2]  # three times as fast as any(axis=2)
    return mask


def _dithered(samples: Samples, palette: Palette, mask: Mask) -> npt.NDArray[np.uint8]:
    """Return the numbers of the colours; where the mask is, of those that come closest around each pixel.

    Floyd, Steinberg, "An adaptive algorithm for spatial grey scale", Proceedings of the SID 17(2), 1976: what one pixel
    is off by goes to its neighbours, so that the change is kept in the mean of a few.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    opacity = np.full(len(palette.colours), 255)
    opacity[: len(palette.opacity)] = list(palette.opacity[: len(opacity)])
    usable = np.flatnonzero(opacity == 255)  # opaque
    table = Image.new("P", (1, 1))
    padded = np.pad(usable, (0, _COLOURS - len(usable)), mode="edge")
    table.putpalette(palette.colours[padded].tobytes())
    nearest = Image.fromarray(np.ascontiguousarray(samples[part])).quantize(
        palette=table, dither=Image.Dither.FLOYDSTEINBERG
    )
    indices = palette.indices.copy()
    able = mask[part] & (opacity[indices[part]] == 255)
    indices[part][able] = padded[np.asarray(nearest)][able]
    return indices
