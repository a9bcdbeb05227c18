"""What the steps of several attacks share: how far they go, and how a gradient is scaled, each face by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from uncnn.plugins.api import Budget, Faces

SMALLEST = torch.finfo(torch.float32).tiny  # a face that no surrogate depends on has the gradient 0, and keeps it


def lengths(faces: Faces, budget: Budget, step_size: float) -> Tensor:
    """Return how far each pixel goes in one step, (N, 1, P, P) grey levels; `step_size` is in bounds a run.

    The papers' ball is L-infinity with one radius; the host's bound differs from pixel to pixel.
    """
    return step_size / budget.steps * faces.luma_limits


def unit(gradient: Tensor) -> Tensor:
    """Return the gradient of each face, (N, 3, P, P), divided by its L1 norm."""
    return gradient / gradient.abs().sum(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST)


def values(gradient: Tensor, faces: Faces) -> Tensor:
    """Return the gradient of each face, (N, 3, P, P), scaled to grey levels.

    Where the face may change, its mean absolute value becomes that of the bounds: it is as long, in L1, as the step
    along the sign that would use them up, but proportional to the gradient.
    """
    mask = (faces.luma_limits > 0).to(gradient)
    spent = (gradient.abs() * mask).sum(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST)
    return gradient * (gradient.shape[1] * faces.luma_limits.sum(dim=(1, 2, 3), keepdim=True) / spent)
