"""The loss of faces that overlap: each is seen with what is done to those beside it, as it will be in the photo.

Optimised each for itself, two faces that share pixels undo a part of each other's change. Here every step sees the sum,
and its gradient is that of all of their losses together. docs/budgets.md has what that is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins.api import Loss
from uncnn.plugins.engine.pullback import pull_back
from uncnn.plugins.geometry import Region
from uncnn.plugins.recognisers.warp import warp

Tie = tuple[int, int]
"""Two faces of a batch, by their numbers: the first is seen with the change of the second."""


@dataclass(frozen=True, slots=True)
class Joint:
    """A loss (`uncnn.plugins.api.Loss`) that shows each face with the changes beside it."""

    loss: Loss
    clean: Tensor  # (N, 3, P, P)
    regions: Sequence[Region]
    ties: Sequence[Tie]
    earlier: Tensor  # (N, 3, P, P): what was done before to faces that are not in the batch, grey levels

    @property
    def targets(self) -> int:
        """Return how many identities are on offer to move to."""
        return self.loss.targets

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        """Return the loss of each face, (N,)."""
        return self.losses(inputs, step, 0)[0]

    def losses(self, inputs: Tensor, step: int, targets: int) -> Sequence[Tensor]:
        """Return the loss of each face, (N,), and after it that toward each of the first `targets`."""
        return self.loss.losses(self._seen(inputs), step, targets)

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        """Return the gradient of the loss of each face and of those beside it, (N, 3, P, P)."""
        return self.gradients(inputs, step, 0)[0]

    def gradients(self, inputs: Tensor, step: int, targets: int) -> list[Tensor]:
        """Return those gradients, and after them the ones toward each of the first `targets`."""
        with torch.enable_grad():
            leaf = inputs.detach().requires_grad_()
            seen = self._seen(leaf)
        found = self.loss.gradients(seen.detach(), step, targets)
        return [pull_back([seen], [leaf], [each], number < targets)[0] for number, each in enumerate(found)]

    def toward(self, target: int | Tensor) -> Joint:
        """Return the loss that is low where the faces are taken for a target."""
        return replace(self, loss=self.loss.toward(target))

    def linked(self, inputs: Tensor) -> Tensor:
        """Return whether a surrogate still links each face to its person, (N,) bool."""
        return self.loss.linked(self._seen(inputs))

    def _seen(self, inputs: Tensor) -> Tensor:
        """Return the faces as they are in the photo, (N, 3, P, P); those that are alone as they are, to the bit."""
        added = {number: self.earlier[number] for number in range(len(inputs)) if bool(self.earlier[number].any())}
        for own, other in self.ties:
            change = (inputs[other] - self.clean[other])[None]
            added[own] = added.get(own, 0) + onto(change, self.regions[other], self.regions[own])[0]
        rows = [(row + added[number]).clamp(0, 255) if number in added else row for number, row in enumerate(inputs)]
        return torch.stack(rows)


def joint(
    loss: Loss,
    clean: Tensor,
    regions: Sequence[Region],
    ties: Sequence[Tie],
    earlier: Sequence[Sequence[tuple[Tensor, Region]]],
) -> Loss:
    """Return the loss that shows each of `clean` (N, 3, P, P) with the changes beside it; `loss` where there are none.

    `earlier` is for each face what was done before to others: the change (3, P, P) and the region of each.
    """
    added = torch.zeros_like(clean)
    for number, done in enumerate(earlier):
        for change, region in done:
            added[number] += onto(change[None].to(clean), region, regions[number])[0]
    return Joint(loss, clean, regions, ties, added) if ties or bool(added.any()) else loss


def onto(change: Tensor, region: Region, other: Region) -> Tensor:
    """Return the change of one region's patch, (1, C, P, P), as the `other` region's patch shows it; differentiable."""
    side = change.shape[3]
    scale = region.side / other.side
    corner = np.array([region.left - other.left, region.top - other.top])
    shift = corner * side / other.side + (scale - 1) / 2
    matrix = change.new_tensor([[[scale, 0.0, shift[0]], [0.0, scale, shift[1]]]])
    return warp(change, matrix, side, side)
