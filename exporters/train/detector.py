"""RetinaFace-MobileNet-0.25 of our own: it learns to give what a published RetinaFace gives on crops of photos.

The student has the teacher's design and none of its weights. It follows the teacher's dense outputs, the face
probability of every anchor by quality focal loss (Li et al., "Generalized focal loss", NeurIPS 2020) and boxes and
landmarks where the teacher sees a face, and the features in between (Romero et al., "FitNets", ICLR 2015). For most of
the course each part is fed what the teacher's part before it gives, so that all parts learn at once (blockwise
supervision: Li et al., "Block-wisely supervised neural architecture search", CVPR 2020); then they follow one another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.train.scenes import Scenes
from uncnn.exporters.train.students import average
from uncnn.plugins.detectors.retinaface_forward import InputFormat
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace

SIDES = (192, 256, 256, 384)  # of a batch's crops, working pixels; a batch has the pixels of 16 crops of 256
PIXELS = 16 * 256 * 256
SURE = 0.1  # the teacher's probability from which its boxes and landmarks are followed


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how fast the detector learns."""

    samples: int = 180_000  # crops of 256 x 256, or as many pixels
    rate: float = 3e-3
    decay: float = 0.01
    average: float = 0.998
    features: float = 1.0  # weight of following the features
    apart: float = 0.85  # share of the course in which every part is fed by the teacher's part before it
    places: float = 1.0  # weight of boxes and landmarks


def teach(
    teacher: MobileNetRetinaFace,
    form: InputFormat,
    scenes: Scenes,
    course: Course,
    device: torch.device,
    seed: int = 0,
    report: Callable[[int, dict[str, float]], None] | None = None,
) -> MobileNetRetinaFace:
    """Return the trained network, on the CPU, in evaluation mode; `report` gets the crops seen and the losses."""
    torch.manual_seed(seed)
    student = MobileNetRetinaFace().to(device).to(memory_format=torch.channels_last).train()
    teacher = teacher.to(device).to(memory_format=torch.channels_last).eval()
    kept = copy.deepcopy(student).eval()
    optimiser = torch.optim.AdamW(student.parameters(), course.rate, weight_decay=course.decay)
    steps = course.samples * 256 * 256 // PIXELS
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, course.rate, total_steps=steps, pct_start=0.05)
    random = np.random.default_rng(seed)
    running: dict[str, float] = {}
    for step in range(steps):
        side = int(random.choice(SIDES))
        images = prepare(scenes.draw(max(PIXELS // side**2, 1), side, random), form).to(device)
        losses = _losses(student, teacher, images, apart=step < course.apart * steps)
        total = losses["faces"] + course.places * losses["places"] + course.features * losses["features"]
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        plan.step()
        average(kept, student, min(course.average, (1 + step) / (10 + step)))
        for name, value in losses.items():
            running[name] = running.get(name, float(value.detach())) * 0.98 + 0.02 * float(value.detach())
        if report and step % 50 == 49:
            report(16 * (step + 1), running)
    kept.cpu()
    return kept


def prepare(pixels: Tensor, form: InputFormat) -> Tensor:
    """Return the network's input, (N, 3, H, W) float32 channels last, of (N, 3, H, W) uint8 RGB."""
    ordered = pixels.float().flip(1) if form.order == "BGR" else pixels.float()
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (form.mean, form.std))
    return ((ordered - mean) / std).contiguous(memory_format=torch.channels_last)


def _losses(
    student: MobileNetRetinaFace, teacher: MobileNetRetinaFace, images: Tensor, apart: bool
) -> dict[str, Tensor]:
    """Return what the student still gets wrong: `faces`, `places` and `features`.

    With `apart` each part of the student is fed what the teacher's part before it gives; else they follow one another.
    """
    with torch.no_grad():
        stages = _stages(teacher, images)
        told = stages[6:]
        boxes, logits, landmarks = teacher.heads(told)
        probability = logits.softmax(dim=2)[..., 1]
    learnt = _apart(student, images, stages) if apart else _stages(student, images)
    found, scores, points = student.heads(told if apart else learnt[6:])
    margin = scores[..., 1] - scores[..., 0]
    wrong = (margin.sigmoid() - probability).abs().detach()
    entropy = functional.binary_cross_entropy_with_logits(margin, probability, reduction="none")
    count = probability.sum().clamp(min=8.0)
    weight = torch.where(probability >= SURE, probability, 0.0).unsqueeze(2)
    places = functional.smooth_l1_loss(found, boxes, reduction="none", beta=0.1).mean(2, keepdim=True)
    places = places + functional.smooth_l1_loss(points, landmarks, reduction="none", beta=0.1).mean(2, keepdim=True)
    features = [((mine - theirs) ** 2).mean() / theirs.var() for mine, theirs in zip(learnt, stages, strict=True)]
    return {
        "faces": (wrong * entropy).sum() / count,
        "places": (weight * places).sum() / weight.sum().clamp(min=8.0),
        "features": torch.stack(features).mean(),
    }


def _stages(network: MobileNetRetinaFace, images: Tensor) -> list[Tensor]:
    """Return what the three stages of the body, the three levels of the pyramid and the three contexts give."""
    body = network.body(images)
    levels = network.fpn(body)
    return [*body.values(), *levels, *(ssh(level) for ssh, level in zip(_contexts(network), levels, strict=True))]


def _apart(network: MobileNetRetinaFace, images: Tensor, told: list[Tensor]) -> list[Tensor]:
    """Return the same, each part fed with what `told` says the part before it gives."""
    body = [network.body.stage1(images), network.body.stage2(told[0]), network.body.stage3(told[1])]
    levels = network.fpn({"stage1": told[0], "stage2": told[1], "stage3": told[2]})
    return [*body, *levels, *(ssh(level) for ssh, level in zip(_contexts(network), told[3:6], strict=True))]


def _contexts(network: MobileNetRetinaFace) -> tuple[nn.Module, nn.Module, nn.Module]:
    return network.ssh1, network.ssh2, network.ssh3
