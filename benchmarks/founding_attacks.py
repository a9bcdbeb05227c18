"""The registered attacks in their papers' own setting: a classifier that is known, a picture, and no view but its own.

There a picture has no bound but 0..255, a descent begins at the picture itself, and what counts is the class that the
network names. Steps are in grey levels: how far a pixel goes on average.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from founding_faces import SIDE
from peers_faces import Square
from torch import Tensor, nn
from torch.nn import functional

from uncnn.plugins.api import Attack, Budget, Change, Faces, Loss
from uncnn.plugins.attacks.i_fgsm import IFgsm
from uncnn.plugins.attacks.i_fgvm import IFgvm
from uncnn.plugins.attacks.p_fgvm import PFgvm
from uncnn.plugins.perception.similarity import ssim

STEPS: Final = 20
PASS: Final = 16  # pictures a pass through a network
RATES: Final = (0.03, 0.06, 0.12, 0.24)  # grey levels a step
PULLS: Final = (0.3, 1.0)  # lambda; 1: it balances the gradient at a mean change of one grey level
RAW_RATES: Final = (0.03, 0.1, 0.3)  # alpha, of the gradient itself, pictures in 0..1
RAW_PULLS: Final = (0.03, 0.3)


@dataclass(frozen=True, slots=True)
class Free(Square):
    """Pictures without a bound: `luma_limits` say only what a step is measured in."""

    def noise(self, stream: int) -> Tensor:
        """Return none: the papers begin at the picture."""
        del stream
        return torch.zeros_like(self.patches)

    def valid(self, pixels: Tensor) -> Tensor:
        """Return the nearest change inside 0..255, (N, 3, P, P)."""
        return torch.minimum(torch.maximum(pixels, -self.patches), 255 - self.patches)


def batch_of(kind: type[Square], pictures: Tensor, epsilon_255: float) -> Square:
    """Return pictures (N, 3, P, P) as attacks see them, with `epsilon_255` at every pixel."""
    number, limits = len(pictures), torch.full((len(pictures), 1, SIDE, SIDE), epsilon_255)
    nowhere = np.zeros((number, 5, 2))
    return kind(pictures.float(), nowhere, np.ones(number), limits, limits, limits * 0, list(range(number)))


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A classifier's cross-entropy: toward `aim`, or without one away from who it is.

    It keeps the first picture of each face that is taken for somebody else: where the papers may stop.
    """

    network: nn.Module
    people: Tensor  # (N,)
    first: Tensor  # (N, 3, P, P), written into: NaN until a face is taken for somebody else
    aim: Tensor | None = None  # (N,)

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        """Return the gradient of each face's own loss, (N, 3, P, P), a grey level."""
        del step
        gradients = []
        for part in torch.arange(len(inputs)).split(PASS):
            leaf = inputs[part].detach().requires_grad_()
            with torch.enable_grad():
                logits = self.network(leaf)
                sign, wanted = (-1, self.people) if self.aim is None else (1, self.aim)
                score = sign * functional.cross_entropy(logits, wanted[part], reduction="sum")
                gradients.append(torch.autograd.grad(score, leaf)[0])
            self.note(part, inputs[part], logits.detach())
        return torch.cat(gradients)

    def note(self, part: Tensor, pictures: Tensor, logits: Tensor) -> None:
        """Keep those of the pictures of faces `part` (n,) that are the first to be taken for somebody else."""
        new = (logits.argmax(dim=1) != self.people[part]) & self.first[part, 0, 0, 0].isnan()
        self.first[part[new]] = pictures[new]


@dataclass(frozen=True, slots=True)
class Written:
    """The update as P-FGVM's paper writes it, x - alpha (gradient + lambda (x - x0)); lambda 0 is I-FGVM's.

    The gradient keeps its length, that of pictures in 0..1: it fades once the network is sure of the wrong person.
    """

    alpha: float
    pull: float = 0.0  # lambda

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the steps come to for each face, (N, 3, P, P) grey levels."""
        pixels = torch.zeros_like(faces.patches)
        for step in range(budget.steps):
            gradient = 255 * loss.gradient(faces.patches + pixels, step)  # of pictures in 0..1
            pixels = faces.valid(pixels - self.alpha * (255 * gradient + self.pull * pixels))
        return Change(pixels)


def settings() -> Iterator[tuple[str, Attack]]:
    """Yield what is tried of each method, under the method's name."""
    for rate in RATES:
        yield "I-FGSM", IFgsm(step_size=rate * STEPS, views=False)
        yield "I-FGVM", IFgvm(step_size=rate * STEPS, views=False)
        for pull in PULLS:
            yield "P-FGVM", PFgvm(step_size=rate * STEPS, realism=pull, views=False)
    for rate in RAW_RATES:
        yield "I-FGVM, as written", Written(rate)
        for pull in RAW_PULLS:
            yield "P-FGVM, as written", Written(rate, pull)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What came of an attack on some faces."""

    change: Tensor  # (N, 3, P, P) grey levels
    missed: Tensor  # (N,) bool: it is taken for somebody else
    missed_rounded: Tensor  # (N,) bool: so is the picture in whole grey levels
    lengths: Tensor  # (N,) L2 of the change, pictures in 0..1
    likeness: Tensor  # (N,) SSIM


@torch.no_grad()
def result_of(network: nn.Module, pictures: Tensor, changed: Tensor, people: Tensor) -> Result:
    """Return how far pictures, (N, 3, P, P) in 0..255, are from what became of them, and whom those show."""
    parts = torch.arange(len(pictures)).split(PASS)
    exact, rounded = (
        torch.cat([network(each[part]).argmax(dim=1) for part in parts]) != people
        for each in (changed, changed.round())
    )
    change = changed - pictures
    likeness = torch.cat([ssim(pictures[part], changed[part]) for part in parts])
    return Result(change, exact, rounded, torch.linalg.vector_norm(change / 255, dim=(1, 2, 3)), likeness)


def attacked(network: nn.Module, attack: Attack, pictures: Tensor, people: Tensor, aim: Tensor) -> dict[str, Result]:
    """Return what an attack toward `aim` (N,) comes to after all its steps, and where it may stop."""
    batch = batch_of(Free, pictures, 1.0)
    loss = Named(network, people, torch.full_like(batch.patches, torch.nan), aim)
    last = batch.patches + attack.perturb(batch, loss, Budget(STEPS)).pixels
    with torch.no_grad():
        for part in torch.arange(len(pictures)).split(PASS):
            loss.note(part, last[part], network(last[part]))
    stopped = torch.where(loss.first.isnan(), last, loss.first)
    ends = {"all steps": last, "stopped": stopped}
    return {name: result_of(network, batch.patches, end, people) for name, end in ends.items()}
