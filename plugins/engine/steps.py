"""What the steps of several attacks share: how far they go, and how a gradient is scaled, each face by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from uncnn.plugins.api import Budget, Faces, Loss

SMALLEST = torch.finfo(torch.float32).tiny  # a face that no surrogate depends on has the gradient 0, and keeps it


START = 0.1
"""Of each pixel's bound: how far from the clean face the attacks begin that have no random start of their own.

The likeness of a face to itself is the largest there is, so it has no gradient at the clean face: what is computed
there is rounding, whose sign is noise. Where skin is flat, a tenth of a bound is lost in the rounding to whole levels.
"""


def start(faces: Faces) -> Tensor:
    """Return a change, (N, 3, P, P), so small that nobody sees it, at which the loss has a gradient."""
    return faces.valid(START * faces.luma_limits * faces.noise(0))


def view(step: int, views: bool) -> int:
    """Return the step whose view of the face is asked for: one of its own, or always the face as it is.

    The first is a drawn one, since so near to the clean face the gradient of the clean view is mostly rounding.
    """
    return step + 1 if views else 0


def lengths(faces: Faces, budget: Budget, step_size: float) -> Tensor:
    """Return how far each pixel goes in one step, (N, 1, P, P) grey levels; `step_size` is in bounds a run.

    The papers' ball is L-infinity with one radius; the host's bound differs from pixel to pixel.
    """
    return step_size / budget.steps * faces.luma_limits


def unit(gradient: Tensor) -> Tensor:
    """Return the gradient of each face, (N, 3, P, P), divided by its L1 norm."""
    return gradient / gradient.abs().sum(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST)


def even(slope: Tensor, may: Tensor, evenness: float) -> Tensor:
    """Return the direction of a band of each face, (N, 3, h, w), whose mean absolute value is 1 where it `may` change.

    `evenness` 1: it is as long in all places; 0: in proportion to `slope`.
    """
    inside = may.to(slope)
    direction = slope.sign() * slope.abs() ** (1 - evenness) * inside
    total = direction.abs().sum(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST)
    return direction * inside.sum(dim=(1, 2, 3), keepdim=True) / total


def values(gradient: Tensor, faces: Faces) -> Tensor:
    """Return the gradient of each face, (N, 3, P, P), scaled to grey levels; 0 where the face may not change.

    Its mean absolute value becomes that of the bounds: it is as long, in L1, as the step along the sign that would use
    them up, but proportional to the gradient.
    """
    inside = gradient * (faces.luma_limits > 0)
    total = gradient.shape[1] * faces.luma_limits.sum(dim=(1, 2, 3), keepdim=True)
    return unit(inside) * total


@torch.no_grad()
def clean_loss(faces: Faces, loss: Loss, pixels: Tensor) -> Tensor:
    """Return each face's loss with `pixels` (N, 3, P, P) added, (N,), at step 0, whose view is the patch as it is."""
    return loss(faces.patches + pixels, 0)


def each(values: Tensor) -> Tensor:
    """Return a value a face, (N,), as (N, 1, 1, 1), to go with its pixels."""
    return values[:, None, None, None]
