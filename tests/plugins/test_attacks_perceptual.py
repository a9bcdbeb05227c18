"""What the attacks that price what is seen promise: cw, fawkes, lowkey; on losses whose best answer is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from portraits import BESIDE, FACE, batch_of
from torch import Tensor

from uncnn.plugins.api import Budget, Loss
from uncnn.plugins.attacks.cw import CarliniWagner
from uncnn.plugins.attacks.fawkes import Fawkes
from uncnn.plugins.attacks.lowkey import LowKey
from uncnn.plugins.engine.batch import FaceBatch
from uncnn.plugins.engine.loss import untargeted
from uncnn.plugins.engine.targets import AttackTarget
from uncnn.plugins.perception.learned_similarity import VARIABLE
from uncnn.plugins.perception.similarity import dssim, ms_ssim
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import UnknownAttack, make_attack, notes_of

LOOSE = Budget(steps=40, epsilon_255=30.0, cap_255=60.0, chroma=1.0)


@dataclass(frozen=True)
class Plane(Loss):
    """A loss that is a plane over the change: what it takes to lower it is known."""

    clean: Tensor
    slope: Tensor  # (N, 3, P, P)
    towards: list[Tensor] = field(default_factory=list)  # slopes of the targets
    heights: list[Tensor] = field(default_factory=list)  # (N,): the targets' losses at the clean faces
    asked: list[Tensor] = field(default_factory=list)  # where gradients were asked for
    height: Tensor | float = 0.0

    @property
    def targets(self) -> int:
        return len(self.towards)

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        return self.height + (self.slope * (inputs - self.clean)).sum(dim=(1, 2, 3))

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        self.asked.append(inputs.clone())
        return self.slope

    def toward(self, target: int | Tensor) -> Plane:
        faces = torch.arange(len(self.clean))
        slope, height = torch.stack(self.towards)[target, faces], torch.stack(self.heights)[target, faces]
        return replace(self, slope=slope, height=height)

    def linked(self, inputs: Tensor) -> Tensor:
        raise AssertionError("no decision is needed")


def smooth_slope(faces: FaceBatch, size: float) -> Tensor:
    """Return a slope of blotches inside the face, each face's of squared length `size`."""
    coarse = torch.nn.functional.interpolate(faces.noise(99)[:, :1, ::28, ::28], (faces.side, faces.side))
    slope = (coarse * (faces.luma_limits > 0.9 * faces.luma_limits.amax())).expand(-1, 3, -1, -1)
    return slope * (size / slope.square().sum(dim=(1, 2, 3), keepdim=True)).sqrt()


@pytest.mark.slow
def test_cw_finds_the_smallest_change_that_reaches_the_goal(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE], LOOSE)
    loss = Plane(faces.patches, smooth_slope(faces, 3e-6))
    smallest = 0.81 / 3e-6  # of |change| ** 2 where slope . change = -0.9: the distance of a plane
    once, searched = (
        CarliniWagner(searches=number, trade_off=300).perturb(faces, loss, LOOSE).pixels for number in (1, 6)
    )
    assert bool((loss(faces.patches + searched, 0) <= -0.9).all()), "every face reached the goal"
    squared = searched.square().sum(dim=(1, 2, 3))
    assert bool((squared < 1.3 * smallest).all())
    assert bool((squared < 0.95 * once.square().sum(dim=(1, 2, 3))).all()), "the search is worth its steps"


def test_cw_keeps_what_comes_nearest_to_a_goal_that_is_out_of_reach(photo: np.ndarray) -> None:
    tight = Budget(steps=30, epsilon_255=2.0, cap_255=2.0)
    faces = batch_of(photo, [FACE, BESIDE], tight)
    loss = Plane(faces.patches, smooth_slope(faces, 1e-7))
    lowest = loss(faces.patches + faces.valid(-1e6 * loss.slope), 0)
    reached = loss(faces.patches + CarliniWagner(searches=3).perturb(faces, loss, tight).pixels, 0)
    assert bool((lowest > -0.9).all()), "out of reach"
    assert bool((reached < 0.7 * lowest).all())


@pytest.mark.slow
def test_fawkes_holds_its_dissimilarity_where_the_bound_is_loose(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE], LOOSE)
    loss = Plane(faces.patches, 2e-6 * faces.noise(5))
    for rho in (0.007, 0.03):
        found = dssim(faces.patches, faces.patches + Fawkes(dissimilarity=rho).perturb(faces, loss, LOOSE).pixels)
        assert bool(((0.6 * rho < found) & (found < 1.4 * rho)).all()), (rho, found)
    free = Fawkes(penalty=0).perturb(faces, loss, LOOSE).pixels
    assert bool((dssim(faces.patches, faces.patches + free) > 0.06).all()), "it is the penalty that holds it"


def test_fawkes_moves_each_face_to_the_target_that_was_farthest(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], LOOSE)
    slopes = [1e-4 * faces.noise(stream) for stream in (11, 12, 13)]
    heights = [torch.tensor([0.1, 0.3]), torch.tensor([0.9, 0.1]), torch.tensor([0.2, 0.8])]  # farthest: 1, then 2
    loss = Plane(faces.patches, torch.zeros_like(faces.patches), slopes, heights)
    shown = faces.patches + Fawkes(penalty=1).perturb(faces, loss, replace(LOOSE, steps=10)).pixels
    fallen = torch.stack([heights[target] - loss.toward(target)(shown, 0) for target in range(3)])
    assert fallen.argmax(dim=0).tolist() == [1, 2]


def test_toward_takes_each_face_to_its_own_target(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    faces = batch_of(photo, [FACE, BESIDE], LOOSE)
    loss = AttackTarget().loss(surrogates, faces)
    with torch.no_grad():
        mixed = loss.toward(torch.tensor([5, 2]))(faces.patches, 0)
        plain = [loss.toward(target)(faces.patches, 0)[face] for face, target in enumerate((5, 2))]
    assert mixed.tolist() == pytest.approx([float(each) for each in plain], abs=1e-6)


def test_lowkey_steps_down_both_distances(photo: np.ndarray) -> None:
    """One step without a price, against autograd through a Gaussian made another way."""
    budget = replace(LOOSE, steps=1)
    faces = batch_of(photo, [FACE, BESIDE], budget)
    wanted = faces.noise(4) * 80 + 128

    class Bowl(Plane):
        def __call__(self, inputs: Tensor, step: int) -> Tensor:
            return (inputs - wanted).square().sum(dim=(1, 2, 3))

        def gradient(self, inputs: Tensor, step: int) -> Tensor:
            self.asked.append(inputs)
            return 2 * (inputs - wanted)

    loss: Loss = Bowl(faces.patches, faces.patches)
    found = LowKey(naturalness=0, step_size=0.5).perturb(faces, loss, budget).pixels
    start = faces.valid(faces.noise(0) * faces.luma_limits)
    leaf = (faces.patches + start).requires_grad_()
    (loss(leaf, 0) + loss(blurred(leaf, 3.0), 0)).sum().backward()
    assert leaf.grad is not None
    expected = faces.valid(start - 0.5 * faces.luma_limits * leaf.grad.sign())
    inner = (slice(None), slice(None), slice(24, -24), slice(24, -24))  # the borders are blurred in another way
    assert float(((found - expected).abs() < 1e-3)[inner].float().mean()) > 0.999


def blurred(pictures: Tensor, sigma: float) -> Tensor:
    taps = torch.arange(-12, 13.0)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    across = torch.nn.functional.conv2d(pictures, kernel, padding=(0, 12), groups=3)
    return torch.nn.functional.conv2d(across, kernel.transpose(2, 3), padding=(12, 0), groups=3)


@pytest.mark.slow
def test_lowkey_pays_for_what_is_seen(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    faces = batch_of(photo, [FACE, BESIDE], LOOSE)
    loss = Plane(faces.patches, 1e-5 * faces.noise(6))
    dear, free = (
        LowKey(naturalness=price).perturb(faces, loss, replace(LOOSE, steps=15)).pixels for price in (1000.0, 0.0)
    )
    alike = [ms_ssim(faces.patches, faces.patches + pixels) for pixels in (dear, free)]
    assert bool((1 - alike[0] < 0.5 * (1 - alike[1])).all()), alike
    assert bool((loss(faces.patches + free, 0) < loss(faces.patches + dear, 0)).all()), "and gets less for it"
    assert notes_of(LowKey()) == ("lowkey: what is seen was priced by MS-SSIM (UNCNN_LPIPS names no weights of LPIPS)",)


def test_lowkey_says_so_where_it_prices_by_lpips(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from uncnn.plugins.attacks import lowkey

    asked = []

    def distance(first: Tensor, second: Tensor) -> Tensor:
        asked.append(len(first))
        return (first - second).square().mean(dim=(1, 2, 3))

    monkeypatch.setattr(lowkey, "lpips_weights", lambda: tmp_path / "weights.pth")
    monkeypatch.setattr(lowkey, "lpips_distance", lambda _weights, _device: distance)
    faces = batch_of(photo, [FACE, BESIDE], LOOSE)
    LowKey().perturb(faces, Plane(faces.patches, faces.noise(6)), replace(LOOSE, steps=2))
    assert asked == [1, 1, 1, 1]  # a face at a time
    assert notes_of(LowKey()) == ("lowkey: what is seen was priced by LPIPS",)


def test_without_targets_fawkes_goes_away(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    budget = Budget(steps=6)
    faces = batch_of(photo, [FACE], budget)
    loss = untargeted(surrogates, faces)
    pixels = Fawkes().perturb(faces, loss, budget).pixels
    with torch.no_grad():
        assert float(loss(faces.patches + pixels, 0)) < 0.995


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("cw", {"confidence": 0}, "confidence 0: give a number above 0"),
        ("cw", {"trade_off": -1}, "trade_off"),
        ("cw", {"learning_rate": float("nan")}, "learning_rate"),
        ("cw", {"searches": 0}, "1 or more"),
        ("fawkes", {"dissimilarity": 1}, "above 0, at most 0.5"),
        ("fawkes", {"penalty": -1}, "0 or more"),
        ("fawkes", {"learning_rate": 0}, "above 0"),
        ("lowkey", {"naturalness": -1}, "0 or more"),
        ("lowkey", {"smoothing_px": 0}, "smoothing_px 0"),
        ("lowkey", {"step_size": 0}, "step_size 0"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(name: str, parameters: dict[str, object], words: str) -> None:
    with pytest.raises(UnknownAttack, match=words):
        make_attack(name, parameters)
