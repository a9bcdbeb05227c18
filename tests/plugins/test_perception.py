"""The bounds of a pixel: wider in texture, tighter in colour, nothing outside the face."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uncnn.plugins.api import Budget
from uncnn.plugins.geometry import ARCFACE_112, similarities
from uncnn.plugins.perception.pixel_bounds import (
    bound_chroma_and_luma,
    bound_rms,
    luma_of,
    pixel_limits,
    rms_limits,
    window,
)
from uncnn.plugins.resampling import gaussian


def test_flat_skin_has_the_base_bound_and_texture_more() -> None:
    luma = torch.full((1, 1, 64, 64), 120.0)
    luma[..., 32:] += 30 * torch.tensor([1.0, -1.0]).repeat(16)
    limits = pixel_limits(luma, Budget(epsilon_255=2.0, texture=0.4, cap_255=9.0))
    assert torch.allclose(limits[..., :20], torch.tensor(2.0), atol=1e-3)
    assert torch.allclose(limits[..., 44:56], torch.tensor(9.0), atol=1e-3)
    assert 2.0 < float(limits[0, 0, 32, 28]) < 9.0


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.floats(0.0, 20.0), st.floats(0.0, 1.0))
def test_luma_and_chroma_stay_inside(seed: int, limit: float, chroma: float) -> None:
    random = np.random.default_rng(seed)
    pixels = torch.from_numpy(random.normal(0, 30, (1, 3, 6, 6)).astype(np.float32))
    limits = torch.full((1, 1, 6, 6), limit)
    bounded = bound_chroma_and_luma(pixels, limits, limits * chroma)
    luma = luma_of(bounded)
    assert float(luma.abs().max()) <= limit + 1e-3
    assert float((bounded[:, 0:1] - luma).abs().max()) / 1.402 <= limit * chroma + 1e-3
    assert float((bounded[:, 2:3] - luma).abs().max()) / 1.772 <= limit * chroma + 1e-3
    assert torch.allclose(bound_chroma_and_luma(bounded, limits, limits * chroma), bounded, atol=1e-3)


def test_a_change_inside_the_bounds_is_left_alone() -> None:
    pixels = torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32))
    wide = torch.full((2, 1, 8, 8), 50.0)
    assert torch.allclose(bound_chroma_and_luma(pixels, wide, wide), pixels, atol=1e-4)


def test_the_local_root_mean_square_is_bounded_and_less_is_left_alone() -> None:
    pixels = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (1, 3, 96, 96)).astype(np.float32))
    pixels[..., 60:] *= 12
    limits = torch.full((1, 1, 96, 96), 3.0)
    bounded = bound_rms(pixels, limits)
    assert torch.equal(bounded[..., :40], pixels[..., :40])
    blur = gaussian(96, torch.tensor([2.0]))[0]
    local = (blur @ luma_of(bounded) ** 2 @ blur.T).sqrt()
    assert float(local.max()) < 3.0 * 1.15, "to a tenth"
    assert float(local[..., 70:].mean()) > 3.0 * 0.85, "and what is allowed is left"


def test_texture_hides_a_larger_root_mean_square_but_not_in_proportion() -> None:
    bounds = torch.tensor([4.0, 16.0]).view(1, 1, 1, 2)
    limits = rms_limits(bounds, Budget(rms=1.5))
    assert limits is not None
    assert limits.flatten().tolist() == [3.0, 6.0]
    assert rms_limits(bounds, Budget()) is None


def test_the_bound_of_a_change_that_is_none_has_a_slope() -> None:
    pixels = torch.zeros(1, 3, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(bound_rms(pixels, torch.ones(1, 1, 16, 16)).sum(), pixels)
    assert bool(torch.isfinite(slope).all())


def test_the_window_is_open_on_the_face_and_shut_beside_it() -> None:
    points = ARCFACE_112 + 40
    shown = window(similarities(points[None], ARCFACE_112)[0], 224, "cpu")[0, 0].numpy()
    assert all(shown[round(y), round(x)] == 1.0 for x, y in points)
    assert shown[:30].max() == 0
    assert shown[:, 170:].max() == 0
    assert np.abs(np.diff(shown, axis=0)).max() < 0.25, "no visible border"
