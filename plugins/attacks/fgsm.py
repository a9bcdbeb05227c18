"""Fast gradient sign method (FGSM): one step.

Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015 (arXiv 2014), section 4.

Where we depart: the paper's epsilon is one number, the host's bound differs from pixel to pixel. The loss is over
embeddings, or over a gallery, and minimised. A face's likeness to itself has no gradient, so the step is taken from a
little beside the clean face (`engine.steps.START`). It is seen in one of the host's views; the paper's clean
picture is `views: false`. `steps` of the budget is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine import steps
from uncnn.plugins.parameters import check


@dataclass(frozen=True, slots=True)
class Fgsm:
    """Go once along the sign of the gradient: the quickest attack, and the weakest."""

    step_size: float = parameter(1.0, "how far the step goes", "bounds of each pixel", above=0)
    views: bool = parameter(True, "the face is seen moved, blurred, resized, compressed; false: as it is")

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return one step for each face, (N, 3, P, P) grey levels."""
        pixels = steps.start(faces)
        gradient = loss.gradient(faces.patches + pixels, steps.view(0, self.views))
        eta = -self.step_size * faces.luma_limits * gradient.sign()  # section 4: eta = epsilon sign(gradient)
        return Change(faces.valid(pixels + eta))
