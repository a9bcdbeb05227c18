"""LowKey: away from the clean face as it is and as a blur leaves it, with a price on what is seen.

Cherepanova, Goldblum, Foley, Duan, Dickerson, Taylor, Goldstein, "LowKey: leveraging adversarial attacks to protect
social media users from facial recognition", ICLR 2021. The paper's price is LPIPS; where its weights are not there
(`perception.learned_similarity`), it is 1 - MS-SSIM, and the photo's notes say which it was. The paper has no bound
of a pixel, the host's holds here; a step is a share of it. The start is random: a cosine is flat at the clean face.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine.steps import lengths, view
from uncnn.plugins.parameters import check
from uncnn.plugins.perception.learned_similarity import VARIABLE, lpips_distance, lpips_weights
from uncnn.plugins.perception.similarity import ms_ssim
from uncnn.plugins.resampling import gaussian


@dataclass(frozen=True, slots=True)
class LowKey:
    """Step along the sign of the gradient of both distances and of the price."""

    naturalness: float = parameter(0.05, "alpha: what a unit of LPIPS, or of 1 - MS-SSIM, costs", least=0)
    smoothing_px: float = parameter(3.0, "sigma of the blur G", "patch pixels", above=0)
    step_size: float = parameter(2.5, "how far all steps go together", "bounds of each pixel", above=0)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a person should know: how it was measured what is seen."""
        if lpips_weights() is not None:
            return ("lowkey: what is seen was priced by LPIPS",)
        return (f"lowkey: what is seen was priced by MS-SSIM ({VARIABLE} names no weights of LPIPS)",)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return the change of each face after `budget.steps` signed steps, (N, 3, P, P) grey levels."""
        distance = _distance(faces.patches.device)
        side = faces.patches.shape[3]
        blur = gaussian(side, faces.patches.new_tensor([self.smoothing_px]))[0]
        step_size = lengths(faces, budget, self.step_size)
        pixels = faces.valid(faces.noise(0) * faces.luma_limits)
        for step in range(budget.steps):
            inputs = faces.patches + pixels
            seen = view(step, True)
            gradient = loss.gradient(inputs, seen)  # the first term of equation 2
            gradient = gradient + blur.T @ loss.gradient(blur @ inputs @ blur.T, seen) @ blur  # the second, through G
            gradient = gradient + self._price(distance, faces.patches, inputs)  # the third
            pixels = faces.valid(pixels - step_size * gradient.sign())  # signed gradient ascent, section 4.1
        return Change(pixels)

    def _price(self, distance: Callable[[Tensor, Tensor], Tensor], patches: Tensor, inputs: Tensor) -> Tensor:
        """Return the gradient of each face's own price, (N, 3, P, P).

        One face at a time: sums over a batch round otherwise, and the step takes no more than the sign.
        """
        gradients = []
        for number in range(len(patches)):
            one = slice(number, number + 1)
            with torch.enable_grad():
                own = inputs[one].detach().requires_grad_()
                price = self.naturalness * distance(patches[one], own)
                gradients.append(torch.autograd.grad(price.sum(), own)[0])
        return torch.cat(gradients)


def _distance(device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    weights = lpips_weights()
    if weights is not None:
        return lpips_distance(weights, device)
    return lambda first, second: 1 - ms_ssim(first, second)
