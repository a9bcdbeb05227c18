"""The eight orientations of EXIF, as turns of arrays: views, nothing is copied.

EXIF 2.32, tag 0x0112: where the first row and the first column of what is stored belong in what is seen.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = TypeVar("Array", bound=npt.NDArray[Any])

SIDEWAYS = 5  # from this one on, rows become columns


def upright(stored: Array, orientation: int) -> Array:
    """Return an array (H, W, ...) as people see it."""
    turned = stored.swapaxes(0, 1) if orientation >= SIDEWAYS else stored
    if orientation in (3, 4, 7, 8):
        turned = np.flip(turned, 0)
    if orientation in (2, 3, 6, 7):
        turned = np.flip(turned, 1)
    return turned


def as_stored(seen: Array, orientation: int) -> Array:
    """Return an upright array (H, W, ...) as the file stores it: the inverse of `upright`."""
    return upright(seen, {6: 8, 8: 6}.get(orientation, orientation))
