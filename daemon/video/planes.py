"""A change of colours, added to a frame in the form in which it is stored: all other samples stay as they are.

Rec. ITU-R BT.601-7 and BT.709-6: luma and two differences of colour; their steps in the two ranges.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from uncnn.plugins.geometry import Region

Floats32 = npt.NDArray[np.float32]

_BT709: Final = 1
_FULL_RANGE: Final = 2
_SHARES: Final = {True: (0.2126, 0.0722), False: (0.299, 0.114)}
"""Of red and blue in luma; True: BT.709."""


def differences(change: Floats32, matrix: int, full_range: bool) -> Floats32:
    """Return a change of RGB, (3, H, W) grey levels, as one of luma and both differences of colour, in 8 bits."""
    red, blue = _SHARES[matrix == _BT709]
    luma = red * change[0] + (1 - red - blue) * change[1] + blue * change[2]
    both = (change[2] - luma) / (2 * (1 - blue)), (change[0] - luma) / (2 * (1 - red))
    steps = (1.0, 1.0) if full_range else (219 / 255, 224 / 255)
    return np.stack([luma * steps[0], both[0] * steps[1], both[1] * steps[1]]).astype(np.float32)


def add(frame: Any, region: Region, change: Floats32, full_range: bool) -> None:
    """Add a change of RGB, (3, side, side), to the pixels of `region` of a frame that may be written to."""
    rows, columns = region.clipped(frame.height, frame.width)
    # whole pairs of pixels, since a sample of colour may belong to two each way
    rows, columns = (
        slice(rows.start & ~1, min(rows.stop + 1 & ~1, frame.height)),
        slice(columns.start & ~1, min(columns.stop + 1 & ~1, frame.width)),
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    wide = np.zeros((3, rows.stop - rows.start, columns.stop - columns.start), np.float32)
    _put(wide, change, region, rows, columns)
    parts = differences(wide, int(frame.colorspace), full_range)
    bits = frame.format.components[0].bits
    for plane, part in zip(frame.planes, parts, strict=True):
        _add_plane(plane, part, rows, columns, frame, bits)


def is_full_range(pixel_format: str, colour_range: int) -> bool:
    """Return whether black is 0 and white 255."""
    return pixel_format.startswith("yuvj") or colour_range == _FULL_RANGE


def _put(wide: Floats32, change: Floats32, region: Region, rows: slice, columns: slice) -> None:
    """Copy what of `change` lies in those rows and columns of the frame."""
    top, left = max(rows.start, region.top), max(columns.start, region.left)
    bottom = min(rows.stop, region.top + region.side)
    right = min(columns.stop, region.left + region.side)
    wide[:, top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = change[
        :, top - region.top : bottom - region.top, left - region.left : right - region.left
    ]


def _add_plane(plane: Any, part: Floats32, rows: slice, columns: slice, frame: Any, bits: int) -> None:
    kind = np.uint8 if bits == 8 else np.dtype("<u2")
    stored = np.frombuffer(plane, kind).reshape(plane.height, -1)
    down = 2 if plane.height < frame.height else 1
    across = 2 if plane.width < frame.width else 1
    own_rows = slice(rows.start // down, -(-rows.stop // down))
    own_columns = slice(columns.start // across, -(-columns.stop // across))
    if down > 1 or across > 1:
        part = _averaged(part, down, across)
    there = stored[own_rows, own_columns]
    most = (1 << bits) - 1
    result = np.rint(there.astype(np.float32) + part * 2.0 ** (bits - 8))
    there[:] = np.clip(result, 0, most).astype(kind)


def _averaged(part: Floats32, down: int, across: int) -> Floats32:
    """Return the mean of each sample's pixels; at an odd border of the ones that there are."""
    height, width = part.shape
    padded = np.pad(part, ((0, -height % down), (0, -width % across)), mode="edge")
    mean: Floats32 = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across).mean(axis=(1, 3))
    return mean
