"""Translation-invariant attack with diverse inputs and momentum (TI-DIM).

Dong, Pang, Su, Zhu, "Evading defenses to transferable adversarial examples by translation-invariant attacks", CVPR
2019: the gradient is convolved with a Gaussian kernel, which stands for the mean of the gradients of shifted pictures.
Its diverse inputs are from Xie, Zhang, Zhou, Bai, Wang, Ren, Yuille, "Improving transferability of adversarial examples
with input diversity", CVPR 2019: with some probability a step sees the picture at another size, at a random place on
black. Its momentum is that of MI-FGSM.

Where we depart: Xie et al. enlarge the picture by up to a tenth for a network that takes more pixels; here the patch
keeps its size, so the picture in it shrinks by as much, bilinearly instead of to the nearest pixel. The face then lies
elsewhere than its landmarks say, as it did for their classifiers. The kernel is 7 patch pixels wide, of 224 across, not
15 of 299: recognisers see faces aligned, and what a wide one leaves carries over worse (docs/attacks). The host's bound
differs from pixel to pixel. The start is a little beside the clean face (`engine.steps.START`). Each step sees
the face in views of the host's too; without them: `views: false`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine import steps
from uncnn.plugins.parameters import check
from uncnn.plugins.resampling import triangle


@dataclass(frozen=True, slots=True)
class TiDim:
    """Step along smoothed, accumulated gradients of the face at random sizes and places."""

    step_size: float = parameter(1.0, "how far all steps go together", "bounds of each pixel", above=0)
    decay: float = parameter(1.0, "mu: how much of the gradients before counts at a step", least=0)
    kernel: int = parameter(7, "width of the Gaussian kernel, odd; 1: none", "patch pixels", least=1, most=99)
    probability: float = parameter(0.7, "p: of a step that sees another size and place", least=0, most=1)
    smallest: float = parameter(
        0.906, "the smallest size; the paper's 299 of 330", "share of the patch", least=0.5, most=1
    )
    views: bool = parameter(True, "each step sees the face moved, blurred, resized, compressed; false: as it is")

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel}: give an odd number, so that it has a middle")

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the steps come to for each face, (N, 3, P, P) grey levels."""
        alpha = steps.lengths(faces, budget, self.step_size)
        kernel = gaussian_kernel(self.kernel).to(faces.patches)
        pixels = steps.start(faces)
        momentum = torch.zeros_like(pixels)
        for step in range(budget.steps):
            placed = draw_placement(faces, step, self.probability, self.smallest)  # Xie et al.: T(X; p)
            inputs = placed.show(faces.patches + pixels)
            gradient = placed.back(loss.gradient(inputs, steps.view(step, self.views)))
            gradient = smoothed(gradient, kernel)  # Dong et al. 2019, "Gradient calculation": W * gradient
            momentum = self.decay * momentum + steps.unit(gradient)  # Dong et al. 2018, equation 6
            pixels = faces.valid(pixels - alpha * momentum.sign())  # Dong et al. 2018, equation 7
        return Change(pixels)


@dataclass(frozen=True, slots=True)
class Placement:
    """Pictures at other sizes and places: a linear map of rows and columns, so that its gradient is its transpose."""

    rows: Tensor  # (N, 1, P, P)
    columns: Tensor  # (N, 1, P, P)

    def show(self, pictures: Tensor) -> Tensor:
        """Return `pictures` (N, 3, P, P) resized and placed, black around."""
        return self.rows @ pictures @ self.columns.transpose(2, 3)

    def back(self, gradient: Tensor) -> Tensor:
        """Return the gradient at the pictures, (N, 3, P, P), from that at what is shown: the chain rule."""
        return self.rows.transpose(2, 3) @ gradient @ self.columns


def draw_placement(faces: Faces, step: int, probability: float, smallest: float) -> Placement:
    """Return a random size from `smallest` to 1 and a random place for each face, from its own seed."""
    coin, share, top, left = ((faces.noise(step)[:, 0, 0, :4] + 1) / 2).unbind(dim=1)  # each (N,) in 0..1
    side = faces.patches.shape[3]
    shares = torch.where(coin < probability, smallest + (1 - smallest) * share, torch.ones_like(share))
    small = (side * shares).round()
    spare = side - small
    return Placement(*(_resized(side, small, (place * (spare + 1)).floor()) for place in (top, left)))


def _resized(side: int, small: Tensor, offset: Tensor) -> Tensor:
    """Return matrices, (N, 1, side, side), that shrink a column to `small` (N,) samples and put it at `offset` (N,)."""
    index = torch.arange(side, device=small.device, dtype=torch.float32)
    out = index[:, None] - offset[:, None, None]
    weights = triangle(out, index, side / small[:, None, None])
    inside = (out >= 0) & (out < small[:, None, None])
    return (weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-6) * inside).unsqueeze(1)


def gaussian_kernel(length: int) -> Tensor:
    """Return one axis of the paper's kernel, (length,): a Gaussian from -3 to 3 standard deviations that sums to 1."""
    weights = torch.exp(-0.5 * torch.linspace(-3, 3, length) ** 2)
    return weights / weights.sum()


def smoothed(gradient: Tensor, kernel: Tensor) -> Tensor:
    """Return `gradient` (N, 3, P, P) convolved with `kernel` (K,) along both axes, zero outside."""
    half = len(kernel) // 2
    planes = gradient.flatten(0, 1).unsqueeze(1)
    planes = functional.conv2d(planes, kernel.view(1, 1, -1, 1), padding=(half, 0))
    planes = functional.conv2d(planes, kernel.view(1, 1, 1, -1), padding=(0, half))
    return planes.view_as(gradient)
