"""HopSkipJump needs decisions alone, asks for no more of them than it may, and ends where nobody is linked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from portraits import BESIDE, FACE, batch_of
from torch import Tensor

from uncnn.plugins.api import Budget
from uncnn.plugins.attacks.boundary import FEWEST, HopSkipJump
from uncnn.plugins.perception.pixel_bounds import luma_of
from uncnn.plugins.registry import UnknownAttack, make_attack

BUDGET = Budget(steps=12, epsilon_255=6.0, texture=0.0)


@dataclass
class Halves:
    """Links a face until its left half is brighter than the right one by so much more than before."""

    clean: Tensor
    needed: float  # grey levels
    asked: list[Tensor] = field(default_factory=list)
    targets: int = 0

    def linked(self, inputs: Tensor) -> Tensor:
        self.asked.append(inputs)
        middle = self.clean.shape[3] // 2
        change = (inputs - self.clean).mean(dim=(1, 2))
        return change[:, :middle].mean(dim=1) - change[:, middle:].mean(dim=1) < self.needed

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        raise AssertionError("no loss is to be had")

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        raise AssertionError("no gradient is to be had")

    def toward(self, target: int | Tensor) -> Halves:
        raise AssertionError("no target is to be had")


def test_it_finds_the_way_with_decisions_alone(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], BUDGET)
    reachable = 0.5 * 6.0 * float((faces.luma_limits / 6.0).mean())  # half of what the whole bound could do
    loss = Halves(faces.patches, reachable)
    noise = faces.valid(faces.noise(0).sign() * faces.luma_limits)
    assert bool(loss.linked(faces.patches + noise).all()), "noise of the same size does nothing"
    pixels = HopSkipJump(queries=400, grain_px=8).perturb(faces, loss, BUDGET).pixels
    assert not bool(loss.linked(faces.patches + faces.valid(pixels)).any()), "as the host holds it"


@pytest.mark.slow
def test_the_smallest_change_is_smaller_than_the_enlarged_one(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], BUDGET)
    loss = Halves(faces.patches, 0.3)
    smallest, enlarged = (
        HopSkipJump(queries=300, grain_px=8, enlarge=enlarge).perturb(faces, loss, BUDGET).pixels
        for enlarge in (False, True)
    )
    assert not bool(loss.linked(faces.patches + smallest).any())
    assert not bool(loss.linked(faces.patches + enlarged).any())
    assert bool((smallest.abs().amax(dim=(1, 2, 3)) < 0.9 * enlarged.abs().amax(dim=(1, 2, 3))).all())


@pytest.mark.parametrize("queries", [FEWEST, 31, 200])
@pytest.mark.parametrize("enlarge", [True, False])
def test_it_asks_no_more_than_it_may(queries: int, enlarge: bool, photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], BUDGET)
    for needed in (0.5, 1e9):  # with a way out, and without one
        loss = Halves(faces.patches, needed)
        HopSkipJump(queries=queries, probes=5, enlarge=enlarge).perturb(faces, loss, BUDGET)
        assert len(loss.asked) <= queries
        assert len(loss.asked) > 0.85 * queries, "and uses what it has"


def test_where_nothing_helps_it_returns_what_the_bound_leaves_of_its_start(photo: np.ndarray) -> None:
    faces = batch_of(photo, [FACE, BESIDE], BUDGET)
    pixels = HopSkipJump(queries=40).perturb(faces, Halves(faces.patches, 1e9), BUDGET).pixels
    assert bool(torch.isfinite(pixels).all())
    assert bool((luma_of(pixels).abs() <= faces.luma_limits + 1).all()), "but for the rounding at 0 and 255"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"queries": 5}, f"queries 5: give a whole number, {FEWEST} or more"),
        ({"probes": 1}, "2 or more"),
        ({"grain_px": 0}, "1 or more"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(parameters: dict[str, object], words: str) -> None:
    with pytest.raises(UnknownAttack, match=words):
        make_attack("boundary", parameters)
