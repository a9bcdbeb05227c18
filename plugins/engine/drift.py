"""A smooth flow that goes down a gradient: what moves pixels instead of changing them.

Xiao, Zhu, Li, He, Liu, Song, "Spatially Transformed Adversarial Examples", ICLR 2018. Theirs is smooth by a penalty
(equation 4); here it is smooth by what it is made of, a field of arrows under a Gaussian, so that it cannot fold.
"""

from __future__ import annotations

import torch
from torch import Tensor

from uncnn.plugins.api import Faces
from uncnn.plugins.engine.pullback import pull_back
from uncnn.plugins.engine.steps import SMALLEST, each
from uncnn.plugins.resampling import gaussian

SIGMA_PX = 4.0  # of the Gaussian, patch pixels: 2 of a 112 px crop
APART_PX = 4  # from one arrow to the next: as smooth as one at each pixel, in a fifth of the time


class Drift:
    """The flow of a batch of faces, each face's moved by its own gradient alone."""

    def __init__(self, faces: Faces) -> None:
        """Start with nothing moved."""
        count, _, _, width = faces.patches.shape
        self._faces = faces
        blur = gaussian(width, faces.patches.new_tensor([SIGMA_PX]))[0][:, APART_PX // 2 :: APART_PX]
        self._blur = blur / blur.sum(dim=1, keepdim=True)  # (P, arrows): no pixel goes further than its arrows
        self._may = (faces.flow_limits > 0).to(faces.patches).mean(dim=(2, 3), keepdim=True)
        self._put(faces.patches.new_zeros(count, 2, self._blur.shape[1], self._blur.shape[1]))

    @property
    def flow(self) -> Tensor:
        """Return the flow as it is now, (N, 2, P, P) patch pixels."""
        return self._flow.detach()

    @property
    def patches(self) -> Tensor:
        """Return the clean faces with their pixels moved, (N, 3, P, P)."""
        return self._moved.detach()

    def down(self, gradient: Tensor, length: float) -> None:
        """Take one step down the `gradient` (N, 3, P, P) of a loss by the moved pixels; `length` is in limits."""
        (slope,) = pull_back([self._moved], [self._arrows], [gradient])
        mean = torch.linalg.vector_norm(slope, dim=1).mean(dim=(1, 2)).clamp(min=SMALLEST)
        stepped = self._arrows.detach() - length * slope * self._may / each(mean)
        self._put(stepped / torch.linalg.vector_norm(stepped, dim=1, keepdim=True).clamp(min=1))

    def _put(self, arrows: Tensor) -> None:
        """Let these be the arrows, (N, 2, A, A), none longer than 1: as far as the limit lets a pixel go."""
        with torch.enable_grad():
            self._arrows = arrows.requires_grad_()
            self._flow = self._blur @ self._arrows @ self._blur.T * self._faces.flow_limits
            moved = self._faces.moved(self._flow).patches
            self._moved = torch.where(self._may > 0, moved, self._faces.patches)  # to the bit where nothing may move
