"""Veil: our own, and the default. As little of a change as people see for as much as recognisers lose.

It goes down the gradient of the cosine to the face's own clean embedding, averaged over all surrogates, in views of its
own at each step. Its steps are not of pixels but of the bands of spatial frequencies that the budget bounds
(`perception.contrast`): each band of luminance and of both colours goes, at each place, as far as it may before it
shows, and the change is their sum. So the eye pays the same everywhere, and a place where the gradient is long is
followed no further than others. Where pixels may also be moved, each step moves them too, smoothly. docs/veil.md has
what was tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uncnn.plugins.api import Bands, Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine import steps
from uncnn.plugins.engine.drift import Drift
from uncnn.plugins.engine.pullback import pull_back
from uncnn.plugins.parameters import check


@dataclass(frozen=True, slots=True)
class Veil:
    """Step in bands of spatial frequencies, each as far as it may before it shows: most protection for least to see."""

    step_size: float = parameter(0.8, "how far all steps go together, on average", "bounds of the face", above=0)
    evenness: float = parameter(
        0.5, "1: each step goes as far in all places; 0: in proportion to the gradient", "share", least=0, most=1
    )
    views: bool = parameter(True, "each step sees the face moved, mirrored, blurred, resized, compressed")

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the steps come to, (N, 3, P, P) grey levels, and the flow of faces that may be moved."""
        rate = self.step_size / budget.steps
        bands = faces.bands or _Pixels(faces)
        values = [steps.START * noise for noise in _noise(faces, bands)]
        drift = Drift(faces) if bool((faces.flow_limits > 0).any()) else None
        for step in range(budget.steps):
            patches = faces.patches if drift is None else drift.patches
            with torch.enable_grad():
                leaves = [value.requires_grad_() for value in values]
                inputs = (patches + bands.pixels(leaves)).clamp(0, 255)
            gradient = loss.gradient(inputs.detach(), steps.view(step, self.views))
            if drift is not None:
                drift.down(gradient, rate)
            slopes = pull_back([inputs], leaves, [gradient])
            pairs = zip(values, slopes, bands.bounds, strict=True)
            values = [
                (value.detach() - rate * steps.even(slope, bound > 0, self.evenness)).clamp(-1, 1)
                for value, slope, bound in pairs
            ]
        return Change(faces.valid(bands.pixels(values)), None if drift is None else drift.flow)


@dataclass(frozen=True, slots=True)
class _Pixels:
    """One band that has every frequency, bounded pixel by pixel: of budgets that do not bound what is seen."""

    faces: Faces

    @property
    def bounds(self) -> tuple[Tensor, ...]:
        return (self.faces.luma_limits.expand_as(self.faces.patches),)

    def pixels(self, values: Sequence[Tensor]) -> Tensor:
        return self.faces.valid(values[0] * self.bounds[0])


def _noise(faces: Faces, bands: Bands) -> list[Tensor]:
    """Return noise in -1..1 of the size of each band."""
    drawn = [faces.noise(level) for level in range(len(bands.bounds))]
    return [
        each[:, :, : bound.shape[2], : bound.shape[3]].clone() for each, bound in zip(drawn, bands.bounds, strict=True)
    ]
