"""Carlini and Wagner's L2 attack: the smallest change that reaches a goal.

Carlini, Wagner, "Towards evaluating the robustness of neural networks", IEEE Symposium on Security and Privacy 2017.
The paper's f is a margin of logits; here it is a margin of the loss over embeddings, and whether that leads away or
toward somebody is the host's target. The paper's box of 0..1 is the host's bound here, and the paper's thousands of
steps are the budget's, for each of the searches. Gradients see each step's drawn view, success is that of the clean
patch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine.box import Descent
from uncnn.plugins.engine.steps import clean_loss, each, view
from uncnn.plugins.parameters import check

FAILED = 1e9  # ranks a change that misses the goal behind all that reach it
WIDER = 10.0  # times the trade-off while no search has reached the goal


@dataclass(frozen=True, slots=True)
class CarliniWagner:
    """Minimise the squared change and a margin loss together, and search for the weight between them."""

    confidence: float = parameter(
        0.9, "kappa: how far the loss is to fall below that of the clean face; 1 is a right angle", above=0
    )
    searches: int = parameter(4, "weights that are tried for each face, of the budget's steps each", least=1)
    trade_off: float = parameter(
        10.0, "c to begin with: what a unit of the loss is worth", "squared change, of pixels in 0..1", above=0
    )
    learning_rate: float = parameter(
        8.0, "of Adam, in a run: the first step is learning_rate / steps", "variables of the tanh", above=0
    )

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return for each face the smallest change that reached the goal, or the one that came nearest to it."""
        goal = clean_loss(faces, loss, torch.zeros_like(faces.patches)) - self.confidence
        kept = _Kept(torch.zeros_like(faces.patches), torch.full_like(goal, torch.inf, dtype=torch.float64))
        weights = torch.full_like(goal, self.trade_off)
        low, high = torch.zeros_like(goal), torch.full_like(goal, torch.inf)
        for search in range(self.searches):
            reached = self._search(faces, loss, budget, goal, weights, search, kept)
            low, high = torch.where(reached, low, weights), torch.where(reached, weights, high)
            weights = torch.where(high.isinf(), WIDER * low, (low + high) / 2)  # binary search, section V-A
        return Change(kept.pixels)

    def _search(
        self, faces: Faces, loss: Loss, budget: Budget, goal: Tensor, weights: Tensor, search: int, kept: _Kept
    ) -> Tensor:
        """Return which faces reached the goal with `weights` (N,), and keep what is better than what was kept."""
        descent = Descent(faces, search, self.learning_rate, budget.steps)  # several starting points, section V-B
        reached = torch.zeros_like(goal, dtype=torch.bool)
        for step in range(budget.steps + 1):
            pixels = descent.pixels
            short = clean_loss(faces, loss, pixels) - goal
            reached |= kept.offer(pixels, short)
            if step == budget.steps:
                break
            margin = weights * (short > 0)  # c times the slope of f = max(loss - goal, 0), section VI-A
            gradient = 2 / 255**2 * pixels + each(margin) * loss.gradient(faces.patches + pixels, view(step, True))
            descent.down(gradient)
        return reached


@dataclass(slots=True)
class _Kept:
    """The best change of each face so far."""

    pixels: Tensor  # (N, 3, P, P)
    rank: Tensor  # (N,): the squared change, of pixels in 0..1; FAILED and how far it is from the goal

    def offer(self, pixels: Tensor, short: Tensor) -> Tensor:
        """Keep `pixels` where they are better; return which reach the goal, (N,), being `short` of it by 0 or less."""
        reached = short <= 0
        squared = (pixels / 255).square().sum(dim=(1, 2, 3))
        rank = torch.where(reached, squared.double(), FAILED + short.double())
        better = rank < self.rank
        self.rank = torch.where(better, rank, self.rank)
        self.pixels = torch.where(each(better), pixels, self.pixels)
        return reached
