"""Veil: our own, and the default. As little of a change as people see for as much as recognisers lose.

It goes down the gradient of the plain cosine to the face's own clean embedding, averaged over all surrogates, in views
of its own at each step, and back toward the original at once, as P-FGVM does (`uncnn.plugins.attacks.p_fgvm`). What it
adds: of each gradient a part of its coarse half is left out. Coarse changes are seen as easily as fine ones and
recognisers lose less by them. It is made for budgets that bound the local root mean square (`Budget.rms`), as those of
the strengths do: the change fills the face evenly, and no spot stands out. Where pixels may also be moved, as those of
large faces, each step moves them too, smoothly. docs/veil.md has what was tried.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from uncnn.plugins import steps
from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.drift import Drift
from uncnn.plugins.parameters import check
from uncnn.plugins.views import gaussian

COARSE_SIGMA_PX = 3.0  # of the Gaussian that leaves the coarse half, patch pixels: 1.7 of a 112 px crop


@dataclass(frozen=True, slots=True)
class Veil:
    """Step along the finer part of the gradient and back toward the original: the most protection that shows least."""

    step_size: float = parameter(2.5, "how far all steps go together, on average", "bounds of the face", above=0)
    realism: float = parameter(0.5, "how strongly it is pulled back to the original", least=0)
    fineness: float = parameter(0.5, "how much of the gradient's coarse part is left out", "share", least=0, most=1)
    views: bool = parameter(True, "each step sees the face moved, blurred, resized, compressed; false: as it is")

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the steps come to, (N, 3, P, P) grey levels, and the flow of faces that may be moved."""
        alpha = self.step_size / budget.steps
        blur = gaussian(faces.patches.shape[3], faces.patches.new_tensor([COARSE_SIGMA_PX]))[0]
        pixels = steps.start(faces)
        drift = Drift(faces) if bool((faces.flow_limits > 0).any()) else None
        for step in range(budget.steps):
            patches = faces.patches if drift is None else drift.patches
            gradient = loss.gradient(patches + pixels, steps.view(step, self.views))
            if drift is not None:
                drift.down(gradient, alpha)
            towards = alpha * steps.values(self._finer(gradient, blur), faces)
            pixels = faces.valid((pixels - towards) / (1 + alpha * self.realism))
        return Change(pixels, None if drift is None else drift.flow)

    def _finer(self, gradient: Tensor, blur: Tensor) -> Tensor:
        return gradient - self.fineness * (blur @ gradient @ blur.T)
