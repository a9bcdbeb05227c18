"""A JPEG with a change put into its own coefficients: what no face touches keeps them to the bit.

Decoding a JPEG is linear but for rounding: so is its inverse. The change alone is transformed, divided by the source's
quantisation tables and added to what is stored (ITU-T T.81, A.3.3 the transform, A.3.4 quantisation). Blocks without a
change keep every coefficient, whatever wrote them and whatever their sampling; there is no second generation.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jpeglib
import numpy as np
import numpy.typing as npt

from uncnn.daemon.photos.changing import differing
from uncnn.daemon.photos.colour import stored_change
from uncnn.daemon.photos.jpeg import bare, told_space, with_head
from uncnn.daemon.photos.quiet import quietly
from uncnn.daemon.photos.turning import as_stored
from uncnn.daemon.photos.values import Photo
from uncnn.plugins.api import Pixels

Levels = npt.NDArray[np.float32]

_LIBJPEG: Final = "turbo210"  # the default, libjpeg 6b, loses the black of CMYK
_PROGRESSIVE: Final = "mozjpeg403"  # the one that writes progressive files
_BLOCK: Final = 8
_BLACK: Final = 3  # the number of that component
_MOST: Final = 1023  # the Huffman codes of 8-bit samples hold no more
_WAVES: Final = np.sqrt(2 / _BLOCK) * np.cos(np.pi * np.outer(np.arange(_BLOCK), 2 * np.arange(_BLOCK) + 1) / 16)
_WAVES[0] = np.sqrt(1 / _BLOCK)
_YCC: Final = np.array(  # ITU-R BT.601, full range, as in JFIF 1.02
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


class OddJpegError(ValueError):
    """The file is of a kind that libjpeg reads and this does not write."""


@dataclass(frozen=True, slots=True)
class Units:
    """The minimum coded units of a JPEG that hold a change."""

    rows: npt.NDArray[np.intp]  # (K,)
    columns: npt.NDArray[np.intp]  # (K,)
    change: Levels  # (K, height, width, C) in the components' own levels


def rewritten(photo: Photo, pixels: Pixels, inks: Pixels | None, head: bytes) -> bytes:
    """Return the JPEG of `photo` with `pixels`, (H, W, 3) upright sRGB, in it, under other headers.

    `inks` (H, W, 4) is what it stores where that is CMYK; `head` is what it says besides, as `jpeg.head` makes it.

    Raises OddJpegError, and OSError where libjpeg cannot read or write it.
    """
    with tempfile.TemporaryDirectory() as folder, quietly():
        source, released = Path(folder, "source.jpg"), Path(folder, "released.jpg")
        source.write_bytes(bare(photo.source))
        jpeglib.version.set(_LIBJPEG)
        jpeg = jpeglib.read_dct(str(source))
        told = told_space(photo.source, jpeg.num_components)
        if told is not None:
            jpeg.jpeg_color_space = jpeglib.Colorspace[told]
        components = _components(jpeg)
        most = [max(int(component[way]) for component in jpeg.samp_factor) for way in (0, 1)]
        for units in _changed_units(photo, pixels, inks, (most[0] * _BLOCK, most[1] * _BLOCK), jpeg):
            for number, name in enumerate(components):
                _add(jpeg, name, number, units, most)
        jpeg.markers = []
        jpeglib.version.set(_PROGRESSIVE if photo.encoding.progressive else _LIBJPEG)
        jpeg.write_dct(str(released), flags=["+OPTIMIZE_CODING"])
        return with_head(released.read_bytes(), head)


def _components(jpeg: Any) -> tuple[str, ...]:
    """Return jpeglib's names of the components."""
    names = ("Y", "Cb", "Cr", "K")[: jpeg.num_components]
    space = jpeg.jpeg_color_space.name
    if space not in ("JCS_GRAYSCALE", "JCS_YCbCr", "JCS_RGB", "JCS_CMYK", "JCS_YCCK"):
        raise OddJpegError(space)
    return names


def _changed_units(photo: Photo, pixels: Pixels, inks: Pixels | None, unit: tuple[int, int], jpeg: Any) -> list[Units]:
    """Return the units of the photo that hold a change, a row of them at a time."""
    before, after = (as_stored(seen, photo.orientation) for seen in (photo.pixels, pixels))
    mask = differing(before, after)
    height, width = unit
    found = []
    for row in range(-(-mask.shape[0] // height)):
        lines = slice(row * height, (row + 1) * height)
        touched = np.flatnonzero(mask[lines].any(axis=0))
        if not touched.size:
            continue
        columns = np.unique(touched // width)
        here = mask[lines]
        own = np.zeros((int(here.sum()), jpeg.num_components), np.uint8) if inks is None else inks[lines][here]
        added = stored_change(before[lines][here], after[lines][here], own, photo.profile)
        change = np.zeros((*here.shape, jpeg.num_components), np.float32)
        change[here] = _in_components(added.astype(np.float32), jpeg.jpeg_color_space.name)
        change = np.pad(change, ((0, height - len(change)), (0, -change.shape[1] % width), (0, 0)), mode="edge")
        split = change.reshape(height, -1, width, change.shape[2])[:, columns]
        found.append(Units(np.full(len(columns), row), columns, split.swapaxes(0, 1)))
    return found


def _in_components(change: Levels, space: str) -> Levels:
    """Return a change of samples, (N, C), in the levels of the components that a JPEG of this colour space stores."""
    if space in ("JCS_YCbCr", "JCS_YCCK"):
        change[:, :3] = change[:, :3] @ _YCC.T
    if space == "JCS_CMYK":
        change = -change  # Adobe stores what is left of the light, not the ink
    elif space == "JCS_YCCK":
        change[:, 3] = -change[:, 3]
    return change


def _add(jpeg: Any, name: str, number: int, units: Units, most: list[int]) -> None:
    """Add the change of one component to its coefficients in place."""
    down, across = (int(factor) for factor in jpeg.samp_factor[number])
    if most[0] % down or most[1] % across:
        raise OddJpegError(f"sampling {jpeg.samp_factor.tolist()}")
    part = units.change[..., number]
    count, height, width = part.shape
    shrink = most[0] // down, most[1] // across
    small = part.reshape(count, height // shrink[0], shrink[0], width // shrink[1], shrink[1]).mean(axis=(2, 4))
    blocks = small.reshape(count, down, _BLOCK, across, _BLOCK).swapaxes(2, 3)
    table = jpeg.qt[jpeg.quant_tbl_no[number]].astype(np.float32)
    if not table.all():
        raise OddJpegError("a quantisation step of zero")
    steps = np.rint(_WAVES @ blocks @ _WAVES.T / table)
    if number == _BLACK and steps.any():
        raise OddJpegError("a change of black, of which jpeglib writes what was there")
    stored = getattr(jpeg, name)
    rows = units.rows[:, None, None] * down + np.arange(down)[None, :, None]
    columns = units.columns[:, None, None] * across + np.arange(across)[None, None, :]
    rows, columns = np.broadcast_arrays(rows, columns)
    there = (rows < stored.shape[0]) & (columns < stored.shape[1])
    at = rows[there], columns[there]
    stored[at] = (stored[at] + steps[there]).clip(-_MOST, _MOST).astype(stored.dtype)
