"""Fast gradient sign method (FGSM): one step.

Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015 (arXiv 2014), section 4.

Where we depart: the paper's epsilon is one number, the host's bound differs from pixel to pixel; the loss is over
embeddings, or over a gallery, and minimised. The one gradient is that of the clean patch, as in the paper, so the
result is the same for every seed, and `steps` of the budget is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.parameters import check


@dataclass(frozen=True, slots=True)
class Fgsm:
    """Go once along the sign of the gradient: the quickest attack, and the weakest."""

    step_size: float = parameter(1.0, "how far the step goes", "bounds of each pixel", above=0)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return one step from each clean face, (N, 3, P, P) grey levels."""
        gradient = loss.gradient(faces.patches, 0)
        eta = -self.step_size * faces.luma_limits * gradient.sign()  # section 4: eta = epsilon sign(gradient)
        return Change(faces.valid(eta))
