"""Students are taught: a network learns to give, part by part and then as a whole, what its teacher gives.

A student that learns embeddings alone agrees with its teacher on photos and not on cloaks (README.md has the figures).
So for most of the course each part of it is fed what the teacher's part before it gives, and follows what the teacher's
part makes of that (blockwise supervision: Li et al., "Block-wisely supervised neural architecture search", CVPR 2020);
then the parts follow one another, on views that are pushed along the student's own gradient as well (`push`), so that
where an attack would go it is told what the teacher says there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.train.augment import Augmentation, crop
from uncnn.exporters.train.descent import Descent, spreads, stand_still
from uncnn.exporters.train.push import push
from uncnn.exporters.train.teachers import Teacher

MEAN, STD = 127.5, 127.5
MEASURED = 64  # views that the spread of the teacher's features is measured on


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how fast a student learns."""

    samples: int = 120_000
    batch: int = 32
    rate: float = 3e-3
    decay: float = 0.01
    average: float = 0.998
    apart: float = 0.55  # share of the course in which every part is fed by the teacher's part before it
    measured: float = 0.3  # share in which batch normalisation measures batches; then it stands still
    pushed: float = 0.5  # share of the batches that are pushed once the parts follow one another


FURTHER = Course(samples=40_000, rate=1.5e-3, apart=0.0, measured=0.0)
"""For a student that was trained by a whole course: the parts follow one another."""


def teach(
    network: nn.Sequential,
    teacher: Teacher,
    faces: npt.NDArray[np.uint8],
    course: Course,
    device: torch.device,
    seed: int = 0,
    report: Callable[[int, dict[str, float]], None] | None = None,
) -> nn.Sequential:
    """Return `network` trained on views of `faces` (N, 144, 144, 3), on the CPU, in evaluation mode.

    Its children are the parts that meet the teacher's. `report` gets the views seen and what is still wrong.
    """
    steps = course.samples // course.batch
    descent = Descent(network, device, steps, course.rate, course.decay, course.average)
    random = np.random.default_rng(seed)
    pixels = torch.from_numpy(faces).permute(0, 3, 1, 2)
    first = teacher(_views(pixels, MEASURED, random).to(device))
    scales = _scales(first)
    typical = spreads(_divided(first, scales))
    for step in range(steps):
        apart = step < course.apart * steps
        if step == int(course.measured * steps):
            stand_still(descent.network)
        views = _views(pixels, course.batch, random).to(device)
        if not apart and random.random() < course.pushed:
            views = push(views, _embeddings(descent.network), random)
        losses = _losses(descent.network, _divided(teacher(views), scales), prepare(views), typical, apart)
        descent.step(losses)
        if report and step % 50 == 49:
            report((step + 1) * course.batch, descent.running)
    return descent.kept.cpu()


def prepare(views: Tensor) -> Tensor:
    """Return what a student sees, (N, 3, 112, 112) normalised, of views (N, 3, 128, 128) in 0..255."""
    return ((crop(views) - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def _losses(
    network: nn.Sequential, told: list[Tensor], crops: Tensor, typical: list[Tensor], apart: bool
) -> dict[str, Tensor]:
    """Return what the student still gets wrong of what its teacher said, `told`.

    `features` is the squared error in `typical`, the teacher's standard deviations, `embeddings` one minus the cosine.
    """
    features, errors = crops, []
    for part, theirs, spread in zip(network, told, typical, strict=True):
        mine = part(features)
        errors.append(((mine - theirs) / spread).square().mean())
        features = theirs if apart else mine
    return {
        "features": torch.stack(errors).mean(),
        "embeddings": (1 - functional.cosine_similarity(mine, told[-1])).mean(),
    }


def _scales(told: list[Tensor]) -> list[Tensor]:
    """Return a number for each of what a teacher gives, by which its values are near one; the same for one shape."""
    sizes = [(each.shape[1:], each.std(0).mean()) for each in told]
    return [torch.stack([size for shape, size in sizes if shape == own]).mean() for own, _ in sizes]


def _divided(told: list[Tensor], scales: list[Tensor]) -> list[Tensor]:
    return [each / scale for each, scale in zip(told, scales, strict=True)]


def _embeddings(network: nn.Module) -> Callable[[Tensor], Tensor]:
    def embed(views: Tensor) -> Tensor:
        embeddings: Tensor = network(prepare(views))
        return embeddings

    return embed


def _views(pixels: Tensor, number: int, random: np.random.Generator) -> Tensor:
    """Return `number` views, (N, 3, 128, 128) float32 in 0..255, of faces drawn by chance."""
    chosen, others = (pixels[random.integers(0, len(pixels), number)] for _ in range(2))
    return Augmentation().views(chosen, others, random).float()
