"""One pass: a trained generator draws the change at once. No recogniser is asked, so that it takes milliseconds.

Poursaeed, Katsman, Gao, Belongie, "Generative adversarial perturbations", CVPR 2018, draw pixels inside one radius;
here the values of bands of spatial frequencies are drawn, and the host's budget says how much of each may be there. It
is an attack (`uncnn.plugins.api.Attack`), not a registered one: no generator has been taught that protects as `veil`
does (exporters/train/README.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from uncnn.plugins.api import Budget, Change, Faces, Loss, PluginError
from uncnn.plugins.generator.generated import Generator


@dataclass(frozen=True, slots=True)
class OnePass:
    """Draw the change by `generator`; the loss and the steps of the budget are not used."""

    generator: Generator

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the generator draws on each face, (N, 3, P, P) grey levels.

        Raises:
            PluginError: the budget does not bound what is seen.
        """
        del loss
        if faces.bands is None:
            raise PluginError(f"one pass: visibility {budget.visibility}: give more than 0")
        sizes = [(bound.shape[2], bound.shape[3]) for bound in faces.bands.bounds]
        return Change(faces.valid(faces.bands.pixels(self.generator.values(faces, sizes))))
