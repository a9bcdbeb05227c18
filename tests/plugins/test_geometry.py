"""Similarities and warps against OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from uncnn.plugins import geometry
from uncnn.plugins.recognisers.onnx_recogniser import crop
from uncnn.plugins.recognisers.warp import warp

TEMPLATE = geometry.ARCFACE_112


def _turned(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    return TEMPLATE @ turn.T + shift


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.3, 3.0])
def test_similarity_recovers_what_moved_the_points(angle: float) -> None:
    points = _turned(angle, 1.7, (80, -20))
    matrix = geometry.similarities(points[None], TEMPLATE)
    assert np.allclose(geometry.transform(matrix, points[None])[0], TEMPLATE, atol=1e-9)
    assert np.allclose(geometry.transform(geometry.inverse(matrix), TEMPLATE[None])[0], points, atol=1e-9)


def test_similarity_is_the_least_squares_one_that_opencv_finds() -> None:
    points = _turned(0.3, 2.0, (10, 10)) + np.random.default_rng(0).normal(0, 2, (5, 2))
    ours = geometry.similarities(points[None], TEMPLATE)[0]
    theirs, _ = cv2.estimateAffinePartial2D(points, TEMPLATE, method=cv2.LMEDS, refineIters=50)

    def error(matrix: np.ndarray) -> float:
        return float(((geometry.transform(matrix[None], points[None])[0] - TEMPLATE) ** 2).sum())

    assert error(ours) <= error(theirs) + 1e-9
    assert np.linalg.det(ours[:, :2]) > 0


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())


FACE = np.array([[205.0, 110.0], [245.0, 108.0], [228.0, 135.0], [210.0, 152.0], [243.0, 151.0]])


@pytest.mark.parametrize("size", [(112, 112), (96, 112), (150, 150)])
def test_both_warps_are_opencv_s_to_its_interpolation_rounding(photo: np.ndarray, size: tuple[int, int]) -> None:
    matrix = geometry.similarities(FACE[None], TEMPLATE * (size[0] / 112))
    expected = cv2.warpAffine(photo, matrix[0], size, flags=cv2.INTER_LINEAR).astype(np.float64)
    patch = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].double()
    ours = warp(patch, torch.from_numpy(matrix), size[1], size[0])[0].permute(1, 2, 0).numpy()
    # OpenCV rounds positions to 1/32 px: at most 1/64 px, that is 4 grey levels, on each axis at a step of 255
    assert np.abs(ours - expected).mean() < 0.35
    assert np.abs(ours - expected).max() < 9
    pillow = crop(photo, matrix[0], size).astype(np.float64)
    assert np.abs(pillow - ours).mean() < 0.6  # rounded to whole grey levels
    assert np.abs(pillow - ours).max() < 2


def test_warp_of_the_identity_changes_nothing(photo: np.ndarray) -> None:
    patch = torch.from_numpy(photo[:112, :112].copy()).permute(2, 0, 1)[None].double()
    same = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], dtype=torch.float64)
    assert torch.allclose(warp(patch, same, 112, 112), patch, atol=1e-9)


def test_warp_is_differentiable() -> None:
    patch = torch.rand(1, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    matrix = torch.tensor([[[0.8, 0.1, 0.3], [-0.1, 0.8, 0.7]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: warp(x, matrix, 6, 6), (patch,))


def test_a_crop_beyond_the_border_is_black(photo: np.ndarray) -> None:
    far = np.array([[1.0, 0.0, 5000.0], [0.0, 1.0, 5000.0]])
    assert crop(photo, far, (20, 20)).max() == 0
    edge = np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 10.0]])
    shown = crop(photo, edge, (30, 30))
    assert shown[:9].max() == 0
    assert np.array_equal(shown[10:, 10:], photo[:20, :20])


@pytest.mark.parametrize("angle", [0.0, 0.8, 2.4])
def test_the_region_holds_what_every_template_shows(angle: float) -> None:
    points = _turned(angle, 3.0, (400, 300))
    region = geometry.region_of(points, 224)
    back = geometry.inverse(geometry.similarities(points[None], TEMPLATE))
    corners = geometry.transform(back, np.array([[[0.0, 0.0], [112, 0], [112, 112], [0, 112]]]))[0]
    assert (corners >= [region.left, region.top]).all()
    assert (corners <= [region.left + region.side, region.top + region.side]).all()


def test_a_small_face_is_worked_on_at_the_photo_s_own_scale() -> None:
    assert geometry.region_of(_turned(0.0, 0.3, (30, 30)), 224).side == 224


def test_a_region_is_clipped_to_the_photo() -> None:
    rows, columns = geometry.Region(-10, 90, 50).clipped(100, 200)
    assert (rows, columns) == (slice(90, 100), slice(0, 40))
    nothing, _ = geometry.Region(0, 500, 50).clipped(100, 200)
    assert nothing.stop - nothing.start == 0


def test_a_flat_picture_stays_flat_in_the_crop() -> None:
    flat = np.full((300, 300, 3), 77, np.uint8)
    assert np.unique(crop(flat, geometry.similarities(FACE[None], TEMPLATE)[0], (112, 112))).tolist() == [77]
