"""A picture of a face: the square around it, as much of it as there is."""

from __future__ import annotations

import numpy as np
import pytest

from uncnn.daemon.pictures.preview import around

PHOTO = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((50, 40, 70, 60), (34, 66), (44, 76)),
        ((50, 45, 70, 55), (34, 66), (44, 76)),  # a square, by the longer side
        ((0, 0, 20, 20), (0, 26), (0, 26)),
        ((190, 90, 210, 110), (84, 100), (184, 200)),
        ((0, 0, 200, 100), (0, 100), (0, 200)),
        ((900, 900, 910, 910), (99, 100), (199, 200)),
        ((50, 50, 50, 50), (49, 51), (49, 51)),
    ],
)
def test_a_face_is_shown_with_what_is_around_it(
    box: tuple[float, float, float, float], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    assert np.array_equal(around(PHOTO, box), PHOTO[slice(*rows), slice(*columns)])
