"""A picture as a Gaussian pyramid: halved again and again, and enlarged to the size before. numpy, no torch.

Burt, Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions on Communications 31(4), 1983, with
their kernel of a = 0.4: of pixels beyond the border, what is halved is mirrored, and what is enlarged is repeated.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.daemon.verify.windows import Size, Window

Picture: TypeAlias = npt.NDArray[np.float32]
"""(C, H, W)."""

SPREAD: Final = 4
"""Pixels by which what differs spreads where a picture is halved and enlarged again."""

_FAR: Final = np.float32(0.05)  # the kernel, from its ends to its middle
_NEAR: Final = np.float32(0.25)
_MIDDLE: Final = np.float32(0.4)


def halved(picture: Picture) -> Picture:
    """Return a picture of 2 x 2 pixels at least at half its size, rounded up.

    The last column is mirrored as if there were as many columns as rows, odd or even: so does the package `cvvdp`,
    whose figures are to be ours.
    """
    is_odd = picture.shape[1] % 2 == 1
    return _columns(_halved_rows(_columns(_halved_rows(picture, is_odd)), is_odd))


def enlarged(small: Picture, size: Size, window: Window) -> Picture:
    """Return the `window` of a picture of `size`, rows and columns, that `halved` made `small`."""
    rows, columns = window
    return _columns(_enlarged_rows(_columns(_enlarged_rows(small, size[0], rows)), size[1], columns))


def _columns(picture: Picture) -> Picture:
    """Return a view with rows for columns."""
    turned: Picture = picture.swapaxes(1, 2)
    return turned


def _halved_rows(picture: Picture, is_odd: bool) -> Picture:
    """Return every second row under the kernel; `is_odd`: the last of them is the last row, not the one before it."""
    beyond = np.zeros_like(picture[:, :2])
    padded = np.concatenate([picture[:, 1::-1], picture, beyond], axis=1)
    count = (picture.shape[1] + 1) // 2
    far, near, middle, after, last = (padded[:, start:][:, ::2][:, :count] for start in range(5))
    made: Picture = far + last
    made *= _FAR
    made += (near + after) * _NEAR
    made += middle * _MIDDLE
    made[:, -1] += picture[:, -1] * _NEAR + picture[:, -2] * _FAR if is_odd else picture[:, -1] * _FAR
    return made


def _enlarged_rows(small: Picture, size: int, rows: slice) -> Picture:
    """Return some of the `size` rows of a picture from the rows of the smaller one around them."""
    first, last = rows.start // 2, (rows.stop - 1) // 2
    inside = np.clip(np.arange(first - 1, last + 2), 0, (size + 1) // 2 - 1)
    around = small[:, inside] if inside[0] == inside[1] or inside[-1] == inside[-2] else small[:, first - 1 : last + 2]
    before, at, after = around[:, :-2], around[:, 1:-1], around[:, 2:]
    made = np.empty((small.shape[0], 2 * at.shape[1], small.shape[2]), np.float32)
    even, odd = made[:, ::2], made[:, 1::2]
    np.add(before, after, out=even)
    even *= 2 * _FAR
    even += at * (2 * _MIDDLE)
    np.add(at, after, out=odd)
    odd *= 2 * _NEAR
    start = rows.start - 2 * first
    return made[:, start : start + rows.stop - rows.start]
