"""Projected gradient descent (PGD), untargeted and targeted, with random starts.

Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards deep learning models resistant to adversarial attacks", ICLR 2018.

The paper's ball is L-infinity with one radius; the host's bound differs from pixel to pixel, so a step is a share of
each pixel's own bound. The loss is over embeddings, not over classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine import steps
from uncnn.plugins.parameters import check


@dataclass(frozen=True, slots=True)
class Pgd:
    """Step along the sign of the gradient and project back into the budget."""

    step_size: float = parameter(2.5, "alpha: how far all steps go together", "bounds of each pixel", above=0)
    restarts: int = parameter(1, "random starts, the best of which is kept for each face", least=1)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return the best of `restarts` descents for each face, (N, 3, P, P) grey levels."""
        best = self._descend(faces, loss, budget, restart=0)
        if self.restarts == 1:
            return Change(best)
        lowest = steps.clean_loss(faces, loss, best)
        for restart in range(1, self.restarts):
            pixels = self._descend(faces, loss, budget, restart)
            reached = steps.clean_loss(faces, loss, pixels)
            better = reached < lowest
            best = torch.where(steps.each(better), pixels, best)
            lowest = torch.where(better, reached, lowest)
        return Change(best)

    def _descend(self, faces: Faces, loss: Loss, budget: Budget, restart: int) -> Tensor:
        step_size = steps.lengths(faces, budget, self.step_size)
        pixels = faces.valid(faces.noise(restart) * faces.luma_limits)  # the random start, section 2.1
        for step in range(budget.steps):
            gradient = loss.gradient(faces.patches + pixels, step)
            pixels = faces.valid(pixels - step_size * gradient.sign())  # the projected step, section 2.1
        return pixels
