"""How the change of a small patch becomes that of a large face: without a lattice of the patch's pixels.

Cubics of Mitchell, Netravali, "Reconstruction filters in computer graphics", SIGGRAPH 1988, with C = (1 - B) / 2, the
line that the paper finds best. B is 0 (Catmull-Rom) at the photo's own scale, where it leaves every pixel as it is, and
1 (the cubic B-spline, which is smooth and never overshoots) from twice that on: between, a lattice is too fine to see.
"""

from __future__ import annotations

import torch
from torch import Tensor


def enlarging(side: int, patch_side: int) -> Tensor:
    """Return the matrix, (side, patch_side), that enlarges a column of pixels; rows sum to 1."""
    scale = side / patch_side
    places = (torch.arange(side) + 0.5) / scale - 0.5
    weights = cubic((places[:, None] - torch.arange(patch_side)).abs(), min(max(scale - 1, 0.0), 1.0))
    return weights / weights.sum(dim=1, keepdim=True)


def cubic(distance: Tensor, b: float) -> Tensor:
    """Return the weights of pixels at a `distance` of 0 and more (equation 8 of the paper, C = (1 - b) / 2)."""
    c = (1 - b) / 2
    near = (12 - 9 * b - 6 * c) * distance**3 + (-18 + 12 * b + 6 * c) * distance**2 + 6 - 2 * b
    far = (-b - 6 * c) * distance**3 + (6 * b + 30 * c) * distance**2 + (-12 * b - 48 * c) * distance + 8 * b + 24 * c
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance))) / 6
