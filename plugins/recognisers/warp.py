"""The warp through which a recogniser sees a face, differentiable."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def warp(patches: Tensor, matrices: Tensor, height: int, width: int) -> Tensor:
    """Return what a recogniser sees: `patches` (N, C, P, P) through `matrices` (N, 2, 3), as (N, C, height, width).

    `matrices` map patch pixels to the result's pixels. Bilinear with zeros outside, so equal to
    ``cv2.warpAffine(patch, matrix, (width, height))`` to its interpolation rounding, and differentiable.
    """
    row = torch.tensor([0.0, 0.0, 1.0], device=matrices.device, dtype=matrices.dtype)
    square = torch.cat([matrices, row.expand(len(matrices), 1, 3)], dim=1)
    back = torch.linalg.inv(square)[:, :2]
    ys = torch.arange(height, device=matrices.device, dtype=matrices.dtype)
    xs = torch.arange(width, device=matrices.device, dtype=matrices.dtype)
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    points = torch.stack([grid_x, grid_y, torch.ones_like(grid_x)], dim=-1).view(1, -1, 3)
    sources = points @ back.transpose(1, 2)  # (N, height * width, 2) patch pixels
    side = torch.tensor([patches.shape[3] - 1, patches.shape[2] - 1], device=sources.device, dtype=sources.dtype)
    grid = (2 * sources / side - 1).view(-1, height, width, 2)
    return functional.grid_sample(patches, grid.to(patches.dtype), mode="bilinear", align_corners=True)
