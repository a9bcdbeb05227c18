"""Fawkes: toward the identity that is farthest away, at a budget of structural dissimilarity.

Shan, Wenger, Zhang, Li, Zheng, Zhao, "Fawkes: protecting privacy against unauthorized deep learning models", USENIX
Security 2020. The paper draws its target among the photos of strangers; here the targets are those that the host
allows, which frame nobody, and a face's is chosen by the ensemble's embeddings of its clean patch. The paper's only
budget is DSSIM; here the host's bound of each pixel holds too, by the same change of variables as the authors' own
program has. Where the host offers no target, the attack goes away from the clean face.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine.box import Descent
from uncnn.plugins.engine.steps import view
from uncnn.plugins.parameters import check
from uncnn.plugins.perception.similarity import dssim


@dataclass(frozen=True, slots=True)
class Fawkes:
    """Move each face toward its farthest target, and pay for what is seen beyond the budget."""

    dissimilarity: float = parameter(0.007, "rho: what costs nothing", "DSSIM, 0..1", above=0, most=0.5)
    penalty: float = parameter(100.0, "lambda: what DSSIM beyond that costs", least=0)
    learning_rate: float = parameter(
        8.0, "of Adam, in a run: the first step is learning_rate / steps", "variables of the tanh", above=0
    )

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return the change of each face after `budget.steps` steps, (N, 3, P, P) grey levels."""
        aimed = loss.toward(_farthest(faces, loss)) if loss.targets else loss
        descent = Descent(faces, 0, self.learning_rate, budget.steps)
        for step in range(budget.steps):
            pixels = descent.pixels
            gradient = aimed.gradient(faces.patches + pixels, view(step, True))
            descent.down(gradient + self._penalty_gradient(faces, pixels))
        return Change(descent.pixels)

    def _penalty_gradient(self, faces: Faces, pixels: Tensor) -> Tensor:
        """Return the gradient of each face's own penalty, (N, 3, P, P)."""
        with torch.enable_grad():
            own = pixels.requires_grad_()
            seen = dssim(faces.patches, faces.patches + own)
            excess = self.penalty * (seen - self.dissimilarity).clamp(min=0)  # the penalty of section 4.2
            return torch.autograd.grad(excess.sum(), own)[0]


@torch.no_grad()
def _farthest(faces: Faces, loss: Loss) -> Tensor:
    """Return the number of the target that each clean face is taken for least, (N,): the choice of section 4.2."""
    _, *distances = loss.losses(faces.patches, 0, loss.targets)
    return torch.stack(distances).argmax(dim=0)
