"""Iterative fast gradient value method (I-FGVM).

Rozsa, Rudd, Boult, "Adversarial diversity and hard positive generation", CVPR workshops 2016: the fast gradient value
(FGV) approach steps along the gradient itself, not its sign, so that pixels that matter little are hardly changed.

Where we depart: the paper takes one direction and searches along the line for its shortest sufficient length; here the
direction is taken anew at each step, as I-FGSM does, and the length is the budget's. The paper's gradient has no unit:
here that of each face is scaled so that a step is as long, in L1, as the step of I-FGSM with the same `step_size`. The
start is a little beside the clean face (`engine.steps.START`). Each step sees the face in views of its own; the
paper's clean picture is `views: false`. The loss is over embeddings, or over a gallery, and minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine import steps
from uncnn.plugins.parameters import check


@dataclass(frozen=True, slots=True)
class IFgvm:
    """Step along the gradient itself: most where it matters most."""

    step_size: float = parameter(2.5, "how far all steps go together, on average", "bounds of the face", above=0)
    views: bool = parameter(True, "each step sees the face moved, blurred, resized, compressed; false: as it is")

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the steps come to for each face, (N, 3, P, P) grey levels."""
        alpha = self.step_size / budget.steps
        pixels = steps.start(faces)
        for step in range(budget.steps):
            gradient = loss.gradient(faces.patches + pixels, steps.view(step, self.views))
            pixels = faces.valid(pixels - alpha * steps.values(gradient, faces))  # FGV: eta = gradient, scaled
        return Change(pixels)
