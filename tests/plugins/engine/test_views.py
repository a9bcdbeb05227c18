"""Views: what a blur, a resize and a JPEG do to a patch, and that each face has its own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from uncnn.plugins.engine.views import View, draw_view
from uncnn.plugins.geometry import ARCFACE_112
from uncnn.plugins.resampling import gaussian, resampling


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())[60:188, 160:288]


def test_a_blur_is_opencv_s(photo: np.ndarray) -> None:
    operator = gaussian(128, torch.tensor([1.5]))[0].double().numpy()
    grey = photo[..., 1].astype(np.float64)
    ours = operator @ grey @ operator.T
    theirs = cv2.GaussianBlur(grey, (13, 13), 1.5)
    assert np.abs(ours - theirs)[8:-8, 8:-8].max() < 0.05
    assert np.allclose(operator.sum(axis=1), 1, atol=1e-6)


def test_resampling_keeps_what_is_smooth_and_drops_what_is_fine() -> None:
    operators = resampling(96, torch.zeros(2), torch.tensor([0.6, 1.0])).double().numpy()
    ramp = np.linspace(0, 255, 96)
    assert np.abs(operators[0] @ ramp - ramp)[4:-4].max() < 0.5
    stripes = np.tile([0.0, 255.0], 48)
    assert np.ptp((operators[0] @ stripes)[8:-8]) < 60
    assert np.allclose(operators[1], np.eye(96), atol=1e-6)


def test_jpeg_is_real_and_its_gradient_passes_straight_through(photo: np.ndarray) -> None:
    patch = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float().requires_grad_()
    shown = View(ARCFACE_112[None], None, [60]).show(patch)
    buffer = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    theirs = cv2.imdecode(buffer, cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(shown[0].permute(1, 2, 0).detach().numpy() - theirs).mean() < 1.5
    shown.sum().backward()
    assert patch.grad is not None
    assert torch.equal(patch.grad, torch.ones_like(patch))


def test_views_are_a_face_s_own() -> None:
    points, units = np.stack([ARCFACE_112, ARCFACE_112]), np.array([1.0, 1.0])
    both = draw_view(points, units, [5, 6], 1, 112, torch.device("cpu"))
    alone = draw_view(points[1:], units[1:], [6], 1, 112, torch.device("cpu"))
    assert np.array_equal(both.landmarks[1:], alone.landmarks)
    assert both.qualities is not None
    assert both.qualities[1:] == alone.qualities
    assert not np.array_equal(both.landmarks[0], both.landmarks[1])


def test_every_third_view_is_the_patch_as_it_is() -> None:
    points = ARCFACE_112[None]
    for step in (0, 3, 6):
        view = draw_view(points, np.array([1.0]), [1], step, 112, torch.device("cpu"))
        patch = torch.rand(1, 3, 112, 112)
        assert torch.equal(view.show(patch), patch)
        assert np.array_equal(view.landmarks, points)
