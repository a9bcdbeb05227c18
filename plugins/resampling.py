"""Blurs and resizes of patches as matrices: of columns, and transposed of rows; differentiable."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian(side: int, sigmas: Tensor) -> Tensor:
    """Return matrices, (N, side, side), that blur a column with Gaussians of `sigmas` (N,) px; rows sum to 1.

    As a matrix product a blur is about ten times faster on a CPU than as a depthwise convolution.
    """
    index = torch.arange(side, device=sigmas.device, dtype=torch.float32)
    distance = (index[:, None] - index) / sigmas.float().clamp(min=1e-3)[:, None, None]
    weights = torch.where(distance.abs() < 4, torch.exp(-0.5 * distance**2), 0.0)  # no denormals: they are slow
    return weights / weights.sum(dim=2, keepdim=True)


def resampling(side: int, sigmas: Tensor, scales: Tensor) -> Tensor:
    """Return matrices, (N, side, side), that blur a column, shrink it to `scales` (N,) and enlarge it again."""
    small = (side * scales.float()).round().clamp(min=1)[:, None, None]  # samples of the small column
    index = torch.arange(side, device=scales.device, dtype=torch.float32)
    down = triangle(index[:, None], index, side / small) * (index[:, None] < small)
    up = triangle(index[:, None], index, small / side) * (index < small)
    down = down / down.sum(dim=2, keepdim=True).clamp(min=1e-6)
    up = up / up.sum(dim=2, keepdim=True)
    return up @ (down @ gaussian(side, sigmas))


def triangle(out: Tensor, source: Tensor, ratio: Tensor) -> Tensor:
    """Return the weights of a bilinear resize by `ratio` source samples a sample, widened when it shrinks."""
    centres = (out + 0.5) * ratio - 0.5
    return (1 - (centres - source).abs() / ratio.clamp(min=1)).clamp(min=0)
