"""The change of variables of Carlini and Wagner: any numbers at all are a change inside the bounds.

Carlini, Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017, section V-B, third method. The
paper's box is 0..1; here it is what the host's bound leaves of 0..255 at each pixel, so that nothing is lost to
clamping but the chroma that is beyond its own, tighter bound.
"""

from __future__ import annotations

import torch
from torch import Tensor

from uncnn.plugins.api import Faces

START = 0.1  # the largest of the random numbers to start from: the loss is flat at the clean face itself


def start(faces: Faces, stream: int) -> Tensor:
    """Return variables near no change at all, (N, 3, P, P): a leaf that an optimiser can move."""
    return (START * faces.noise(stream)).requires_grad_()


def change_of(variables: Tensor, faces: Faces) -> Tensor:
    """Return the change that `variables` (N, 3, P, P) stand for, grey levels inside the budget; differentiable."""
    low = torch.maximum(-faces.luma_limits, -faces.patches)
    high = torch.minimum(faces.luma_limits, 255 - faces.patches)
    inside = torch.where(variables < 0, -low, high) * variables.tanh()  # 0 stays 0 where one side is the shorter
    return faces.valid(inside)


def move(optimiser: torch.optim.Optimizer, variables: Tensor, change: Tensor, gradient: Tensor) -> None:
    """Let `optimiser` move `variables` down the `gradient` (N, 3, P, P) of a loss by `change`, which they stand for."""
    (variables.grad,) = torch.autograd.grad(change, variables, gradient)
    optimiser.step()
