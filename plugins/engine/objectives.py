"""What an attack minimises: for each face a score of the embedding that one surrogate gives it.

The objective is apart from the optimiser, so that each attack runs against embeddings and against a closed set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

LOGIT_SCALE = (
    32.0  # of cosines, before the softmax: as networks with a margin loss are trained (ArcFace: 64, CosFace: 32)
)

RIGHT_ANGLE = 0.0  # the cosine of two strangers
SHARPNESS = 12.0  # of the bend at a floor: half of the slope is left there, a tenth 0.18 below


class Objective(Protocol):
    """A score for each face of a batch."""

    @property
    def raw(self) -> bool:
        """Return whether it scores the network's own outputs, as of a classifier's head, not unit embeddings."""
        ...

    def score(self, outputs: Tensor) -> Tensor:
        """Return the score of each face, (N,), from (N, D); differentiable."""
        ...

    def part(self, faces: slice) -> Objective:
        """Return the objective of some of the faces."""
        ...


@dataclass(frozen=True, slots=True)
class Cosine:
    """The cosine to an anchor: to get away from the own clean embedding, or (`sign` -1) toward a target's.

    Below `floor` it hardly falls any more. A stranger is at a right angle to a person; who is pushed on from there ends
    at the person's opposite, where all cloaked photos of that person meet, and are linked to each other.
    """

    anchors: Tensor  # (N, D), unit
    sign: float = 1.0
    raw: bool = False
    floor: float | None = None

    def score(self, outputs: Tensor) -> Tensor:
        """Return the signed cosine of each face, (N,)."""
        signed = self.sign * (outputs * self.anchors).sum(dim=1)
        if self.floor is None:
            return signed
        return self.floor + functional.softplus((signed - self.floor) * SHARPNESS) / SHARPNESS

    def part(self, faces: slice) -> Cosine:
        """Return the objective of some of the faces."""
        return replace(self, anchors=self.anchors[faces])


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """Cross-entropy over a closed set of identities: away from the own one, or (`sign` 1) toward a target.

    The logits are scaled cosines to each identity's prototype, the mean embedding of its photos (Snell, Swersky, Zemel,
    "Prototypical networks for few-shot learning", NeurIPS 2017); with `prototypes` None, the outputs themselves, of a
    network with a classifier's head.
    """

    labels: Tensor  # (N,) of identities
    prototypes: Tensor | None = None  # (I, D), unit
    sign: float = -1.0

    @property
    def raw(self) -> bool:
        """Return whether the outputs are logits by themselves."""
        return self.prototypes is None

    def score(self, outputs: Tensor) -> Tensor:
        """Return the signed cross-entropy of each face, (N,)."""
        logits = outputs if self.prototypes is None else LOGIT_SCALE * outputs @ self.prototypes.T
        return self.sign * functional.cross_entropy(logits, self.labels, reduction="none")

    def part(self, faces: slice) -> CrossEntropy:
        """Return the objective of some of the faces."""
        return replace(self, labels=self.labels[faces])


def synthetic(identity: int, surrogate: int, length: int) -> Tensor:
    """Return a unit vector (D,) that `identity` draws for a surrogate: a direction that no person has.

    A random direction of the sphere is about at a right angle to every face there is, so that no stranger is framed.
    """
    random = np.random.default_rng((identity, surrogate, length))
    direction = torch.from_numpy(random.normal(size=length).astype(np.float32))
    return functional.normalize(direction, dim=0)
