"""Views moved by small steps that a teacher feels most: what a student must get right to stand in for it in an attack.

A student that has only seen photos agrees with its teachers on photos, not on cloaks: one made with it alone moved
dlib's judge to 0.41 where one made with a teacher moved it to 0.60 (README.md). So some lessons are views that were
pushed along a teacher's own gradient, with what the teachers say of the pushed view: the student learns the teachers'
slopes as well as their values
(Czarnecki et al., "Sobolev training for neural networks", NeurIPS 2017, with differences in place of derivatives).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from uncnn.exporters.train.augment import MARGIN
from uncnn.plugins.recogniser import Recogniser

LEAST_255, MOST_255 = 2.0, 12.0  # grey levels of a push
STEPS = 2


def push(views: Tensor, teacher: Recogniser, random: np.random.Generator) -> Tensor:
    """Return `views`, (N, 3, 128, 128) uint8, pushed along `teacher`'s gradient, each by a size of its own; uint8.

    Every second view is pushed away from what the teacher makes of it, the others toward another view of the batch.
    """
    start = views.float()
    size = torch.from_numpy(random.uniform(LEAST_255, MOST_255, len(views))).float().view(-1, 1, 1, 1)
    with torch.no_grad():
        own = _embed(teacher, start)
    away = torch.from_numpy(np.arange(len(views)) % 2 == 0).unsqueeze(1)
    anchors = torch.where(away, -own, own.roll(1, 0))
    moved = start + size / STEPS * torch.from_numpy(random.uniform(-1, 1, start.shape)).float()
    for _ in range(STEPS):
        leaf = moved.requires_grad_()
        (gradient,) = torch.autograd.grad((_embed(teacher, leaf) * anchors).sum(), leaf)
        moved = (leaf.detach() + size / STEPS * gradient.sign()).clamp(0, 255)
    return moved.round().to(torch.uint8)


def _embed(teacher: Recogniser, views: Tensor) -> Tensor:
    return functional.normalize(teacher.outputs(views[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]), dim=1)
