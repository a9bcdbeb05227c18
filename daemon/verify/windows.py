"""Windows of pictures: the rows and columns in which two pictures differ, and those around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from uncnn.plugins.api import Pixels

Window: TypeAlias = tuple[slice, slice]
"""Rows and columns, with bounds."""

Size: TypeAlias = tuple[int, int]
"""Rows and columns."""


def differing(original: Pixels, changed: Pixels) -> Window | None:
    """Return the smallest window of two pictures, (H, W, 3), outside of which they are equal; None: all is."""
    height, width, channels = original.shape
    different = (original != changed).reshape(height, width * channels)
    rows = np.flatnonzero(different.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(different.any(axis=0)) // channels
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def grown(window: Window, by: int, size: Size) -> Window:
    """Return a window with so many pixels more at each side, as far as a picture of `size` has them."""
    rows, columns = (
        slice(max(part.start - by, 0), min(part.stop + by, side)) for part, side in zip(window, size, strict=True)
    )
    return rows, columns


def at_half_size(window: Window) -> Window:
    """Return the window of a picture at half the size that holds all of this one."""
    rows, columns = (slice(part.start // 2, (part.stop + 1) // 2) for part in window)
    return rows, columns


def within(window: Window, around: Window) -> Window:
    """Return a window by its place in a larger one."""
    rows, columns = (
        slice(part.start - other.start, part.stop - other.start) for part, other in zip(window, around, strict=True)
    )
    return rows, columns


def strips(window: Window, pixels: int) -> Iterator[Window]:
    """Yield a window in parts of whole rows: so many pixels, or one row."""
    rows, columns = window
    step = max(pixels // (columns.stop - columns.start), 1)
    for start in range(rows.start, rows.stop, step):
        yield slice(start, min(start + step, rows.stop)), columns
