"""What a face is compared with whose pixels were moved: the original with its pixels moved as the copy's are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uncnn.daemon.verify.moved import UNMOVED, read_moved, write_moved
from uncnn.daemon.verify.visibility import face_square
from uncnn.plugins.api import Face

FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
TINY = Face((10.0, 10.0, 13.0, 13.0), ((11, 11), (12, 11), (11.5, 12), (11, 12.5), (12, 12.5)), 0.9)


def test_what_was_moved_comes_back_and_the_rest_is_the_original(tmp_path: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    write_moved(tmp_path / "moved", photo, [FACE, FACE, TINY], [0.0, 0.015, 0.02])
    moved = read_moved(str(tmp_path / "moved"))
    square = face_square(FACE, photo.shape)
    assert square is not None
    original = np.zeros_like(photo[square])
    assert np.array_equal(moved.square(0, original), original), "it was not moved"
    assert np.array_equal(moved.square(1, original), photo[square])
    assert np.array_equal(moved.square(2, original), original), "too small to be compared"
    assert np.array_equal(moved.square(3, original), original), "a face that only the verifier found"
    assert [moved.share(number) for number in range(4)] == [0.0, 0.015, 0.02, 0.0]
    elsewhere = np.zeros((7, 7, 3), np.uint8)
    assert moved.square(1, elsewhere) is elsewhere


def test_nothing_moved_is_compared_with_the_original() -> None:
    original = np.zeros((5, 5, 3), np.uint8)
    assert read_moved(None) is UNMOVED
    assert UNMOVED.square(0, original) is original
    assert UNMOVED.share(0) == 0
