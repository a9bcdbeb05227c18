"""RetinaFace-MobileNet-0.25 of our own: it learns to give what a published RetinaFace gives on crops of photos.

The student has the teacher's design and none of its weights. It follows the teacher's dense outputs, the face
probability of every anchor by quality focal loss (Li et al., "Generalized focal loss", NeurIPS 2020) and boxes and
landmarks where the teacher sees a face, and the features in between (Romero et al., "FitNets", ICLR 2015). For most of
the course each part is fed what the teacher's part before it gives, so that all parts learn at once (blockwise
supervision: Li et al., "Block-wisely supervised neural architecture search", CVPR 2020); then they follow one another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from uncnn.exporters.train.descent import Descent, spreads, stand_still
from uncnn.exporters.train.scenes import Scenes
from uncnn.plugins.detectors.retinaface_forward import InputFormat
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace

SIDES = (192, 256, 256, 384)  # of a batch's crops, working pixels; a batch has the pixels of 16 crops of 256
PIXELS = 16 * 256 * 256
LEVELS = -3  # of the features: what the heads read
MEASURED = 64  # crops that the spread of the teacher's features is measured on
SURE = 0.1  # the teacher's probability from which its boxes and landmarks are followed


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how fast the detector learns."""

    samples: int = 150_000  # crops of 256 x 256, or as many pixels
    rate: float = 3e-3
    decay: float = 0.01
    average: float = 0.998
    apart: float = 0.85  # share of the course in which every part is fed by the teacher's part before it
    measured: float = 0.3  # share of the course in which batch normalisation measures batches; then it stands still


FURTHER = Course(samples=30_000, rate=3e-4, apart=0.0, measured=0.0)
"""For a network that was trained by a whole course: the parts follow one another."""


def teach(
    teacher: MobileNetRetinaFace,
    form: InputFormat,
    scenes: Scenes,
    course: Course,
    device: torch.device,
    seed: int = 0,
    report: Callable[[int, dict[str, float]], None] | None = None,
    start: MobileNetRetinaFace | None = None,
) -> MobileNetRetinaFace:
    """Return the trained network, on the CPU, in evaluation mode; `report` gets the crops seen and the losses.

    With `start` training goes on from that network, by the course `FURTHER` or one like it.
    """
    torch.manual_seed(seed)
    teacher = teacher.to(device).to(memory_format=torch.channels_last).eval()
    steps = course.samples * 256 * 256 // PIXELS
    descent = Descent(start or MobileNetRetinaFace(), device, steps, course.rate, course.decay, course.average)
    random = np.random.default_rng(seed)
    with torch.no_grad():
        typical = spreads(_walk(teacher, prepare(scenes.draw(MEASURED, SIDES[0], random), form).to(device)))
    for step in range(steps):
        if step == int(course.measured * steps):
            stand_still(descent.network)
        side = int(random.choice(SIDES))
        images = prepare(scenes.draw(max(PIXELS // side**2, 1), side, random), form).to(device)
        losses = _losses(descent.network, teacher, images, typical, apart=step < course.apart * steps)
        descent.step(losses)
        if report and step % 50 == 49:
            report(16 * (step + 1), descent.running)
    return descent.kept.cpu()


def prepare(pixels: Tensor, form: InputFormat) -> Tensor:
    """Return the network's input, (N, 3, H, W) float32 channels last, of (N, 3, H, W) uint8 RGB."""
    ordered = pixels.float().flip(1) if form.order == "BGR" else pixels.float()
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (form.mean, form.std))
    return ((ordered - mean) / std).contiguous(memory_format=torch.channels_last)


def _losses(
    student: MobileNetRetinaFace, teacher: MobileNetRetinaFace, images: Tensor, typical: list[Tensor], apart: bool
) -> dict[str, Tensor]:
    """Return what the student still gets wrong: `faces`, `places` and `features`.

    With `apart` each part of the student is fed what the teacher's part before it gives; else they follow one another.
    """
    with torch.no_grad():
        given = _walk(teacher, images)
        boxes, logits, landmarks = teacher.heads(given[LEVELS:])
        probability = logits.softmax(dim=2)[..., 1]
    learnt = _walk(student, images, given if apart else None)
    found, scores, points = student.heads((given if apart else learnt)[LEVELS:])
    margin = scores[..., 1] - scores[..., 0]
    wrong = (margin.sigmoid() - probability).abs().detach()
    entropy = functional.binary_cross_entropy_with_logits(margin, probability, reduction="none")
    count = probability.sum().clamp(min=8.0)
    weight = torch.where(probability >= SURE, probability, 0.0).unsqueeze(2)
    places = functional.smooth_l1_loss(found, boxes, reduction="none", beta=0.1).mean(2, keepdim=True)
    places = places + functional.smooth_l1_loss(points, landmarks, reduction="none", beta=0.1).mean(2, keepdim=True)
    pairs = zip(learnt, given, typical, strict=True)
    features = [((mine - theirs) / spread).square().mean() for mine, theirs, spread in pairs]
    return {
        "faces": (wrong * entropy).sum() / count,
        "places": (weight * places).sum() / weight.sum().clamp(min=8.0),
        "features": torch.stack(features).mean(),
    }


def _walk(network: MobileNetRetinaFace, images: Tensor, teacher_features: list[Tensor] | None = None) -> list[Tensor]:
    """Return what every block of the body, the three levels of the pyramid and the three contexts give.

    With `told`, another network's answer to `images`, each part is fed what `told` says the part before it gives.
    """
    given: list[Tensor] = []
    features = images
    for block in (*network.body.stage1, *network.body.stage2, *network.body.stage3):
        given.append(block(features))
        features = teacher_features[len(given) - 1] if teacher_features else given[-1]
    ends = np.cumsum([len(stage) for stage in (network.body.stage1, network.body.stage2, network.body.stage3)]) - 1
    read = teacher_features or given
    given += network.fpn({f"stage{number}": read[end] for number, end in enumerate(ends, 1)})
    read = teacher_features or given
    contexts = zip((network.ssh1, network.ssh2, network.ssh3), read[ends[-1] + 1 : ends[-1] + 4], strict=True)
    return given + [context(level) for context, level in contexts]
