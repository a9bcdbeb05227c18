"""TIP-IM chooses among targets as its paper does, and its MMD is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from portraits import BESIDE, FACE, batch_of
from torch import Tensor

from uncnn.plugins.api import Budget, Loss
from uncnn.plugins.attacks.tip_im import BLOCK_PX, TipIm, mmd
from uncnn.plugins.engine.targets import AttackTarget
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import UnknownAttack, make_attack

BUDGET = Budget(steps=5)


@dataclass(frozen=True)
class Slopes(Loss):
    """Targets whose losses are planes over the change; the own face's loss is flat."""

    clean: Tensor
    slopes: list[Tensor]  # (N, 3, P, P) each
    chosen: int | None = None

    @property
    def targets(self) -> int:
        return len(self.slopes)

    def _slope(self) -> Tensor:
        return torch.zeros_like(self.clean) if self.chosen is None else self.slopes[self.chosen]

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        return (self._slope() * (inputs - self.clean)).sum(dim=(1, 2, 3))

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        return self._slope()

    def toward(self, target: int | Tensor) -> Slopes:
        assert isinstance(target, int)
        return Slopes(self.clean, self.slopes, target)

    def linked(self, inputs: Tensor) -> Tensor:
        raise AssertionError("no decision is needed")


def test_each_face_takes_the_target_that_pays_best(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], BUDGET)
    steep = torch.tensor([[1.0, 1.0], [6.0, 1.0], [1.0, 6.0]])  # a target each: the first face's best is 1, then 2
    slopes = [1e-5 * each[:, None, None, None] * faces.noise(20 + number) for number, each in enumerate(steep)]
    loss = Slopes(faces.patches, slopes)
    shown = faces.patches + TipIm(naturalness=0).perturb(faces, loss, BUDGET).pixels
    start = faces.patches + faces.valid(faces.noise(0) * faces.luma_limits)
    signs = [slope.sign() for slope in slopes]
    along = torch.stack([-(sign * (shown - start)).mean(dim=(1, 2, 3)) for sign in signs])
    assert along.argmax(dim=0).tolist() == [1, 2]
    assert float(along.sort(dim=0).values[1].max()) < 0.15 * float(along.amax(dim=0).min()), "and no other"
    first = faces.patches + TipIm(candidates=1, naturalness=0).perturb(faces, loss, BUDGET).pixels
    along = torch.stack([-(sign * (first - start)).mean(dim=(1, 2, 3)) for sign in signs])
    assert along.argmax(dim=0).tolist() == [0, 0], "one candidate is no choice"


def test_more_candidates_get_farther(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    """On the synthetic targets of a real recogniser: the nearest of those tried is nearer."""
    faces = batch_of(photo, [FACE], BUDGET)
    loss = AttackTarget().loss(surrogates, faces)
    nearest = []
    for candidates in (1, 4):
        shown = faces.patches + TipIm(candidates).perturb(faces, loss, BUDGET).pixels
        with torch.no_grad():
            nearest.append(min(float(loss(shown, 0) + loss.toward(target)(shown, 0)) for target in range(candidates)))
    assert nearest[1] < nearest[0]


def test_mmd_compares_distributions(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], BUDGET)
    clean = faces.patches
    assert mmd(clean, clean).tolist() == pytest.approx([0, 0], abs=1e-5)
    shuffled = clean.roll(3 * BLOCK_PX, dims=3)
    assert mmd(clean, shuffled).tolist() == pytest.approx([0, 0], abs=1e-5), "the same blocks at other places"
    little, much = (mmd(clean, clean + size * faces.noise(1)) for size in (10, 60))
    assert bool((little > 1e-5).all() & (little < much).all()), (little, much)


def test_naturalness_lowers_the_mmd(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], BUDGET)
    loss = Slopes(faces.patches, [1e-5 * torch.ones_like(faces.patches)])
    free, dear = (
        mmd(faces.patches, faces.patches + TipIm(naturalness=price).perturb(faces, loss, BUDGET).pixels)
        for price in (0.0, 1e6)
    )
    assert bool((dear < 0.7 * free).all()), (dear, free)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"candidates": 0}, "candidates 0: give a whole number, 1"),
        ({"naturalness": -1}, "0 or more"),
        ({"step_size": 0}, "above 0"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(parameters: dict[str, object], words: str) -> None:
    with pytest.raises(UnknownAttack, match=words):
        make_attack("tip-im", parameters)
