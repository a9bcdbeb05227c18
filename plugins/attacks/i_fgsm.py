"""Iterative fast gradient sign method (I-FGSM, also BIM).

Kurakin, Goodfellow, Bengio, "Adversarial examples in the physical world", ICLR 2017 workshop (arXiv 2016), section 2.2,
"Basic iterative method".

Where we depart: the paper steps by one grey level and takes min(epsilon + 4, 1.25 epsilon) steps, so that a pixel can
go 1.25 times its bound; here the number of steps is the budget's, and the step's length follows from it. The start is a
little beside the clean face (`engine.steps.START`). Each step sees the face in views of its own, so that the
change survives what photos go through; the paper's clean picture is `views: false`. The loss is over embeddings, or
over a gallery, and minimised: the paper's "iterative least-likely class" is the parameter `target`.
"""

from __future__ import annotations

from dataclasses import dataclass

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine import steps
from uncnn.plugins.parameters import check


@dataclass(frozen=True, slots=True)
class IFgsm:
    """Step along the sign of the gradient from the clean face, clipped into the budget after each step."""

    step_size: float = parameter(1.25, "how far all steps go together", "bounds of each pixel", above=0)
    views: bool = parameter(True, "each step sees the face moved, blurred, resized, compressed; false: as it is")

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the steps come to for each face, (N, 3, P, P) grey levels."""
        alpha = steps.lengths(faces, budget, self.step_size)
        pixels = steps.start(faces)
        for step in range(budget.steps):
            gradient = loss.gradient(faces.patches + pixels, steps.view(step, self.views))
            pixels = faces.valid(pixels - alpha * gradient.sign())  # section 2.2: Clip{X + alpha sign(gradient)}
        return Change(pixels)
