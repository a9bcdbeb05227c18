"""Students are taught: a network learns to say of a view what its teachers say together.

The target is the teachers' unit embeddings side by side, turned by the leading singular vectors of the training
targets to the student's length: the cosine of two targets is the mean of the teachers' cosines. The loss is one minus
the cosine to the target (feature regression: Romero et al., "FitNets", ICLR 2015).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.train.augment import MARGIN
from uncnn.exporters.train.lessons import Lessons
from uncnn.exporters.train.networks import EMBEDDING, SIDE, Student
from uncnn.plugins.cards import TEMPLATES
from uncnn.plugins.geometry import similarities
from uncnn.plugins.warp import warp

MEAN, STD = 127.5, 127.5
BASIS_ROWS = 20_000  # of lessons that the turn of the targets is found on


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how fast a student learns."""

    samples: int = 400_000
    batch: int = 128
    rate: float = 3e-3
    decay: float = 0.05
    average: float = 0.998  # of the weights that are kept (exponential moving average)
    nudge: float = 0.0  # grey levels of an adversarial step against the student, the target kept


def basis_of(lessons: Lessons) -> Tensor:
    """Return the turn, (sum of D, 256), from the teachers' embeddings side by side to a target."""
    sample = _side_by_side(lessons, np.arange(min(BASIS_ROWS, lessons.ready)))
    _, vectors = torch.linalg.eigh(sample.T @ sample)
    basis: Tensor = vectors.flip(1)[:, :EMBEDDING].contiguous()
    return basis


def teach(
    student: Student,
    lessons: Callable[[], Lessons],
    course: Course,
    device: torch.device,
    seed: int = 0,
    report: Callable[[int, float], None] | None = None,
) -> nn.Sequential:
    """Return the trained network of `student`, on the CPU, in evaluation mode.

    `lessons` is asked again as training goes on, since more may have been written; `report` gets the samples seen and
    the loss.
    """
    torch.manual_seed(seed)
    network = student.make().to(device).to(memory_format=torch.channels_last).train()
    kept = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.parameters(), course.rate, weight_decay=course.decay)
    steps = course.samples // course.batch
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, course.rate, total_steps=steps, pct_start=0.05)
    random = np.random.default_rng(seed)
    known, basis, running = lessons(), basis_of(lessons()), 1.0
    for step in range(steps):
        if step % 100 == 0:
            known = lessons()
        rows = np.sort(random.integers(0, known.ready, course.batch))
        crops = _crops(known, rows, student, random).to(device)
        targets = functional.normalize(_side_by_side(known, rows) @ basis, dim=1).to(device)
        loss = _learn(network, optimiser, crops, targets, course)
        plan.step()
        average(kept, network, min(course.average, (1 + step) / (10 + step)))
        running += 0.02 * (loss - running)
        if report and step % 50 == 49:
            report((step + 1) * course.batch, running)
    kept.cpu()
    return kept


def crop_views(views: Tensor, student: Student) -> Tensor:
    """Return what a student sees, (N, 3, 112, 112) normalised, of views (N, 3, 128, 128) in 0..255."""
    if student.template == TEMPLATES["arcface-112"]:
        crops = views[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
    else:
        points = np.array(TEMPLATES["arcface-112"])[None] + MARGIN
        matrix = torch.from_numpy(similarities(points, np.array(student.template))).float()
        crops = warp(views, matrix.expand(len(views), 2, 3), SIDE, SIDE)
    return (crops - MEAN) / STD


def _learn(
    network: nn.Module, optimiser: torch.optim.Optimizer, crops: Tensor, targets: Tensor, course: Course
) -> float:
    if course.nudge:
        crops = crops + _nudge(network, crops, targets, course.nudge / STD)
    optimiser.zero_grad(set_to_none=True)
    loss = _distance(network, crops, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return float(loss.detach())


def _distance(network: nn.Module, crops: Tensor, targets: Tensor) -> Tensor:
    with torch.autocast(crops.device.type, torch.bfloat16):
        embeddings = network(crops.to(memory_format=torch.channels_last))
    loss: Tensor = (1 - functional.cosine_similarity(embeddings.float(), targets)).mean()
    return loss


def _nudge(network: nn.Module, crops: Tensor, targets: Tensor, size: float) -> Tensor:
    """Return one step of `size` against the student, half of the faces untouched.

    A surrogate that holds a little against such steps makes cloaks that transfer better: Springer, Mitchell, Kenyon,
    "A little robustness goes a long way", NeurIPS 2021.
    """
    start = (crops + size * (2 * torch.rand_like(crops) - 1)).requires_grad_()
    (gradient,) = torch.autograd.grad(_distance(network, start, targets), start)
    step = size * gradient.sign()
    step[::2] = 0
    return step


def _crops(lessons: Lessons, rows: npt.NDArray[np.int64], student: Student, random: np.random.Generator) -> Tensor:
    views = torch.from_numpy(lessons.views[rows]).float()
    mirrored = torch.from_numpy(random.random(len(rows)) < 0.5).view(-1, 1, 1, 1)
    return crop_views(torch.where(mirrored, views.flip(3), views), student)


def _side_by_side(lessons: Lessons, rows: npt.NDArray[np.int64]) -> Tensor:
    """Return the teachers' unit embeddings side by side, (N, sum of D), of unit length together."""
    parts = [torch.from_numpy(target[rows].astype(np.float32)) for target in lessons.targets.values()]
    return torch.cat(parts, dim=1) / math.sqrt(len(parts))


@torch.no_grad()
def average(kept: nn.Module, network: nn.Module, share: float) -> None:
    """Move `kept` toward `network`: an exponential moving average of weights and statistics."""
    for mine, theirs in zip(kept.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1 - share)
        else:
            mine.copy_(theirs)
