"""A displacement of pixels: rendered as it says, held to its share of the eye distance, refused where it folds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from portraits import BESIDE, BUDGET, FACE, batch_of

from uncnn.plugins.api import Budget, Change, Face, Faces, Loss, PluginError
from uncnn.plugins.attacks.veil import Veil
from uncnn.plugins.engine import host, rendering
from uncnn.plugins.engine.drift import Drift
from uncnn.plugins.engine.flow import displaced, folds
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

MOVING = replace(BUDGET, flow=0.02)


def ramp(height: int = 20, width: int = 30) -> torch.Tensor:
    return torch.arange(width, dtype=torch.float32).expand(1, 1, height, width)


def test_each_pixel_is_taken_from_where_the_flow_says() -> None:
    flow = torch.zeros(1, 2, 20, 30)
    flow[:, 0] = 1.5
    moved = displaced(ramp(), flow)[0, 0]
    assert torch.allclose(moved[:, :28], ramp()[0, 0, :, :28] + 1.5, atol=1e-4)
    assert torch.allclose(moved[:, 29], torch.full((20,), 29.0), atol=1e-4)  # beyond the border: the border


def test_no_flow_changes_nothing() -> None:
    picture = torch.rand(2, 3, 17, 23) * 255
    assert torch.allclose(displaced(picture, torch.zeros(2, 2, 17, 23)), picture, atol=1e-3)


def test_a_flow_that_takes_pixels_over_others_folds() -> None:
    smooth, sharp = torch.zeros(2, 1, 2, 20, 30)
    xs = torch.arange(30, dtype=torch.float32)
    smooth[:, 0] = 2 * torch.sin(xs / 6)  # slope 1/3 at most
    sharp[:, 0] = 2 * torch.sin(2 * xs)
    assert folds(torch.cat([smooth, sharp])).tolist() == [False, True]


def larger(photo: np.ndarray, times: int) -> tuple[np.ndarray, Face]:
    """Return the photo so many times as large, and where its face is."""
    points = tuple((times * x + (times - 1) / 2, times * y + (times - 1) / 2) for x, y in FACE.landmarks)
    box = tuple(times * value for value in FACE.box)
    return photo.repeat(times, axis=0).repeat(times, axis=1), replace(FACE, box=box, landmarks=points)


@dataclass(frozen=True)
class Mover:
    """An attack that moves everything, and adds nothing."""

    pixels: float = 1e3
    waves: float = 0.0

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        side = faces.patches.shape[3]
        flow = torch.zeros(len(faces.patches), 2, side, side)
        flow[:, 0] = self.pixels
        if self.waves:
            flow[:, 0] = self.pixels * torch.sin(torch.arange(side) * self.waves)
        return Change(torch.zeros_like(faces.patches), flow)


def test_the_host_holds_a_flow_to_its_share_of_the_eye_distance(
    photo: np.ndarray,
    surrogates: list[Recogniser],
) -> None:
    patches = host.perturb(photo, [FACE], Mover(), surrogates, MOVING, seed=1)
    result, (norms,) = rendering.compose(photo, patches)
    assert norms.flow == pytest.approx(MOVING.flow, rel=0.01)
    assert norms.largest_255 == 0  # nothing was added
    (flow,) = [patch.flow for patch in patches]
    assert flow is not None
    assert not np.concatenate([flow[:, 0], flow[:, -1], flow[:, :, 0], flow[:, :, -1]], axis=1).any()
    changed = (result != photo).any(axis=2)
    outside = np.ones(photo.shape[:2], bool)
    outside[patches[0].region.clipped(*photo.shape[:2])] = False
    assert changed.any()
    assert not (changed & outside).any()


def test_where_the_budget_has_no_flow_nothing_moves(
    photo: np.ndarray,
    surrogates: list[Recogniser],
) -> None:
    result, _ = rendering.compose(photo, host.perturb(photo, [FACE, BESIDE], Mover(), surrogates, BUDGET, seed=1))
    assert np.array_equal(result, photo)


def test_a_flow_that_folds_the_face_fails_the_photo(
    photo: np.ndarray,
    surrogates: list[Recogniser],
) -> None:
    with pytest.raises(PluginError, match="folds"):
        host.perturb(photo, [FACE], Mover(pixels=3.0, waves=2.0), surrogates, replace(BUDGET, flow=0.2), seed=1)


def test_a_large_face_moves_by_the_same_share_of_it(
    photo: np.ndarray,
    surrogates: list[Recogniser],
) -> None:
    large, face = larger(photo, 4)
    patches = host.perturb(large, [face], Mover(), surrogates, MOVING, seed=1)
    _, (norms,) = rendering.compose(large, patches)
    assert norms.flow == pytest.approx(MOVING.flow, rel=0.01)


def test_the_bound_of_the_flow_is_that_of_each_face(photo: np.ndarray) -> None:
    batch = batch_of(photo, [FACE, BESIDE], MOVING)
    assert batch.flow_limits.amax(dim=(1, 2, 3)).tolist() == pytest.approx(
        (MOVING.flow * batch.eyes).tolist(), rel=1e-3
    )


def test_a_drift_stays_inside_its_limits_and_never_folds(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], replace(BUDGET, flow=0.02))
    drift = Drift(faces)
    assert torch.allclose(drift.patches, faces.patches, atol=1e-2)
    for stream in range(40):
        drift.down(faces.noise(stream % 2) * 1e3, length=1.0)
        length = torch.linalg.vector_norm(drift.flow, dim=1, keepdim=True)
        assert bool((length <= faces.flow_limits + 1e-5).all())
        assert not bool(folds(drift.flow).any())
    assert float(length.max()) > 0.3 * float(faces.flow_limits.max()), "it was pushed as far as it may go"


def test_a_drift_goes_down_its_gradient_alone(photo: np.ndarray) -> None:
    """Brightness as the loss: each face ends darker where it may, one that may not move stays."""
    faces = batch_of(photo, [FACE, BESIDE], replace(BUDGET, flow=0.02))
    faces.flow_limits[1] = 0
    drift = Drift(faces)
    for _ in range(5):
        drift.down(torch.ones_like(faces.patches), length=0.5)
    darker = (faces.patches - drift.patches).mean(dim=(1, 2, 3))
    assert float(darker[0]) > 0.05
    assert torch.equal(drift.patches[1], faces.patches[1]), "to the bit: a face comes out the same alone"
    assert not bool(drift.flow[1].any())


def test_veil_moves_what_may_not_change(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    shown, face = larger(photo, 2)
    budget = replace(BUDGET, steps=8, epsilon_255=0.0, texture=0.0, flow=0.02)
    patches = host.perturb(shown, [face], Veil(), surrogates, budget, seed=1)
    result, (norms,) = rendering.compose(shown, patches)
    assert norms.largest_255 == 0
    assert 0.005 < norms.flow <= 0.02 + 1e-6
    likeness = []
    for pixels in (shown, result):
        with torch.no_grad():
            patch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
            likeness.append(surrogates[0].embed(patch, np.array([face.landmarks]))[0])
    assert float(likeness[0] @ likeness[1]) < 0.97
