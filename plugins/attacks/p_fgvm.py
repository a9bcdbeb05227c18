"""Penalised fast gradient value method (P-FGVM).

Chatzikyriakidis, Papaioannidis, Pitas, "Adversarial face de-identification", ICIP 2019: each step goes down the
gradient and back toward the original at once, so that what does not help is taken back and the face keeps its look.

Where we depart: the paper knows no bound, the host's holds here too. The paper's gradient has no unit; here that of
each face is scaled as in I-FGVM (`engine.steps.values`), so that `realism` 1 balances a mean change as large as
the bounds. The paper's step pulls from where it starts; here the pull acts at the step's end, which comes to the same
for small steps and does not overshoot the original for large `realism`. The paper aims at a class that is not one's
own: that is the parameter `target`, and the loss is over embeddings or over a gallery. The start is a little beside the
clean face (`engine.steps.START`). Each step sees the face in views of its own; the paper's clean picture is
`views: false`.
"""

from __future__ import annotations

from dataclasses import dataclass

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine import steps
from uncnn.plugins.parameters import check


@dataclass(frozen=True, slots=True)
class PFgvm:
    """Step along the gradient itself and back toward the original at once: a change that shows less."""

    step_size: float = parameter(2.5, "alpha: how far all steps go together, on average", "bounds of the face", above=0)
    realism: float = parameter(1.0, "lambda: how strongly it is pulled back to the original", least=0)
    views: bool = parameter(True, "each step sees the face moved, blurred, resized, compressed; false: as it is")

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the steps come to for each face, (N, 3, P, P) grey levels."""
        alpha = self.step_size / budget.steps
        pixels = steps.start(faces)
        for step in range(budget.steps):
            gradient = steps.values(loss.gradient(faces.patches + pixels, steps.view(step, self.views)), faces)
            # The paper's update, x - alpha (gradient + lambda (x - x0)), with the x - x0 that the step ends at.
            pixels = faces.valid((pixels - alpha * gradient) / (1 + alpha * self.realism))
        return Change(pixels)
