"""A smooth displacement of a face's pixels: how it is rendered, and when it is refused.

Spatially transformed adversarial examples: Xiao, Zhu, Li, He, Liu, Song, "Spatially Transformed Adversarial Examples",
ICLR 2018, equation 1: each pixel is taken, bilinearly, from where the flow says.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def displaced(pictures: Tensor, flow: Tensor) -> Tensor:
    """Return `pictures` (N, C, H, W) with each pixel taken from where `flow` (N, 2, H, W), x then y in pixels, says."""
    height, width = pictures.shape[2:]
    ys = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    xs = torch.arange(width, device=flow.device, dtype=flow.dtype)
    across = 2 * (xs + flow[:, 0]) / max(width - 1, 1) - 1
    down = 2 * (ys + flow[:, 1]) / max(height - 1, 1) - 1
    grid = torch.stack([across, down], dim=-1)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=True)


def folds(flow: Tensor) -> Tensor:
    """Return whether a flow (N, 2, H, W) takes any of each face's pixels over another, (N,) bool.

    It does where the determinant of the map's Jacobian, by differences of neighbours, is not above 0.
    """
    along_x = flow[:, :, :-1, 1:] - flow[:, :, :-1, :-1]
    along_y = flow[:, :, 1:, :-1] - flow[:, :, :-1, :-1]
    determinant = (1 + along_x[:, 0]) * (1 + along_y[:, 1]) - along_x[:, 1] * along_y[:, 0]
    return (determinant <= 0).flatten(1).any(dim=1)
