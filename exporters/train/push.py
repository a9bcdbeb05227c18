"""Views moved by small steps that a network feels most: where an attack would go.

What the teacher says of a pushed view is what a student must learn there: its slopes as well as its values
(Czarnecki et al., "Sobolev training for neural networks", NeurIPS 2017, with differences in place of derivatives).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

LEAST_255, MOST_255 = 2.0, 12.0  # grey levels of a push
STEPS = 2


def push(views: Tensor, embed: Callable[[Tensor], Tensor], random: np.random.Generator) -> Tensor:
    """Return `views`, (N, 3, H, W) in 0..255, pushed along the gradient of `embed`, each by a size of its own.

    `embed` gives (N, D) of them. Every second view is pushed away from its own embedding, the others toward another's.
    """
    size = torch.from_numpy(random.uniform(LEAST_255, MOST_255, len(views))).to(views).view(-1, 1, 1, 1)
    with torch.no_grad():
        own = functional.normalize(embed(views), dim=1)
    away = torch.from_numpy(np.arange(len(views)) % 2 == 0).to(views.device).unsqueeze(1)
    anchors = torch.where(away, -own, own.roll(1, 0))
    moved = views + size / STEPS * torch.from_numpy(random.uniform(-1, 1, views.shape)).to(views)
    for _ in range(STEPS):
        leaf = moved.requires_grad_()
        (gradient,) = torch.autograd.grad((functional.normalize(embed(leaf), dim=1) * anchors).sum(), leaf)
        moved = (leaf.detach() + size / STEPS * gradient.sign()).clamp(0, 255)
    return moved
