"""Momentum iterative fast gradient sign method (MI-FGSM).

Dong, Liao, Pang, Su, Zhu, Hu, Li, "Boosting adversarial attacks with momentum", CVPR 2018, algorithm 1: the gradients
of all steps are accumulated, so that the change fits one surrogate's whims less and carries over to other recognisers.

Where we depart: the paper's epsilon is one number, the host's bound differs from pixel to pixel, so a step is a share
of each pixel's own bound. The surrogates' losses are averaged, not their logits (section 3.2), since each has
embeddings of its own. The start is a little beside the clean face (`engine.steps.START`). Each step sees the
face in views of its own; the paper's clean picture is `views: false`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine import steps
from uncnn.plugins.parameters import check


@dataclass(frozen=True, slots=True)
class MiFgsm:
    """Step along the sign of the gradients accumulated so far: carries over better to other recognisers."""

    step_size: float = parameter(1.0, "how far all steps go together", "bounds of each pixel", above=0)
    decay: float = parameter(1.0, "mu: how much of the gradients before counts at a step; 0 is I-FGSM", least=0)
    views: bool = parameter(True, "each step sees the face moved, blurred, resized, compressed; false: as it is")

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the steps come to for each face, (N, 3, P, P) grey levels."""
        alpha = steps.lengths(faces, budget, self.step_size)  # algorithm 1, line 1: alpha = epsilon / T
        pixels = steps.start(faces)
        momentum = torch.zeros_like(pixels)
        for step in range(budget.steps):
            gradient = loss.gradient(faces.patches + pixels, steps.view(step, self.views))
            momentum = self.decay * momentum + steps.unit(gradient)  # equation 6
            pixels = faces.valid(pixels - alpha * momentum.sign())  # equation 7
        return Change(pixels)
