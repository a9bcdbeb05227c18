"""What is cut out of a photo for an attack: the face's square alone, and which faces are in one photo."""

from __future__ import annotations

import numpy as np
import torch
from portraits import BESIDE, FACE
from torch.nn import functional

from uncnn.plugins.engine.patches import PATCH_PX, FaceInPhoto, cut_faces, inside_of, square_of
from uncnn.plugins.geometry import Region, region_of

NOISE = np.random.default_rng(0).integers(0, 256, (900, 700, 3), np.uint8)


def test_a_small_square_is_the_photo_s_own_pixels_and_black_beyond() -> None:
    square = square_of(NOISE, Region(-100, 800, PATCH_PX))
    assert np.array_equal(square[:, :100, 100:], NOISE[800:, :124].transpose(2, 0, 1))
    assert not square[:, 100:].any()
    assert not square[:, :, :100].any()


def test_a_large_square_is_shrunk_by_the_mean_of_what_lies_under_a_pixel() -> None:
    region = Region(20, -60, 640)
    square = square_of(NOISE, region)
    whole = np.zeros((640, 640, 3), np.float32)
    whole[60:] = NOISE[:580, 20:660]
    expected = functional.interpolate(
        torch.from_numpy(whole).permute(2, 0, 1)[None], (PATCH_PX, PATCH_PX), mode="bilinear", antialias=True
    )[0]
    assert np.abs(square - expected.numpy()).max() < 2e-3, "as torch does it"
    inside = inside_of((900, 700), region)
    assert inside.shape == (1, PATCH_PX, PATCH_PX)
    assert inside[0, 0].max() == 0
    assert inside[0, -1].min() == 1
    assert np.unique(inside).size > 2, "the photo's border lies in the middle of a pixel"


def test_what_is_cut_says_which_faces_are_in_one_photo_and_nothing_of_the_rest() -> None:
    other = NOISE.copy()
    cut = cut_faces([FaceInPhoto(NOISE, FACE, 1), FaceInPhoto(other, FACE, 2), FaceInPhoto(NOISE, BESIDE, 1)])
    assert [each.photo for each in cut] == [0, 1, 0]
    assert [each.region for each in cut] == [
        region_of(np.array(each.landmarks), PATCH_PX) for each in (FACE, FACE, BESIDE)
    ]
    (alone,) = cut_faces([FaceInPhoto(other, FACE, 2)])
    rows, columns = alone.region.clipped(900, 700)
    around = np.zeros_like(other)
    around[rows, columns] = other[rows, columns]
    (same,) = cut_faces([FaceInPhoto(around, FACE, 2)])
    assert np.array_equal(alone.square, same.square)


def test_a_photo_without_colour_is_told_from_what_lies_under_the_face() -> None:
    half = NOISE.copy()
    rows, columns = region_of(np.array(FACE.landmarks), PATCH_PX).clipped(900, 700)
    half[rows, columns] = half[rows, columns, :1]
    grey, coloured = cut_faces([FaceInPhoto(half, FACE, 1), FaceInPhoto(NOISE, FACE, 1)])
    assert grey.grey
    assert not coloured.grey
