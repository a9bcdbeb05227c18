"""How a recogniser is made robust: it learns to give of a face that was altered against it what it gave of the face.

Wong, Rice and Kolter, "Fast is better than free: revisiting adversarial training", ICLR 2020 (one step from a random
start, `alpha` = 1.25 epsilon); Madry and others, "Towards deep learning models resistant to adversarial attacks", ICLR
2018 (several steps); Springer, Mitchell and Kenyon, "A little robustness goes a long way: leveraging robust
features for targeted transfer attacks", NeurIPS 2021 (small epsilons make the better surrogates). Departing from
them: there are no labels. The recogniser itself, frozen, is the teacher, and the loss is the cosine distance to what
it says of the unaltered face.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx
from torch.nn import functional

from uncnn.exporters.train.augment import FACE_PX
from uncnn.exporters.train.descent import Descent
from uncnn.exporters.train.faces import TrainingError
from uncnn.plugins.recognisers.cards import TEMPLATES
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

ALPHA = 1.25  # of the step, as a share of epsilon, where it is the only one
PATH = 1.6  # of several steps together
JITTER_PX = 3  # of a crop, in each direction
RANDOM_WEIGHT = 0.5  # of the face under the random noise that a step starts from, where the worst counts 1
AVERAGE = 0.99  # of the weights
TEMPLATE = TEMPLATES["arcface-112"]

Faces = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Course:
    """How far a face is altered, L-infinity in grey levels, in how many steps, and how long the recogniser learns."""

    epsilon_255: float
    passes: int = 1
    samples: int = 7_200
    batch: int = 16
    rate: float = 3e-4


def harden(
    teacher: Recogniser,
    start: Recogniser,
    faces: Faces,
    course: Course,
    seed: int = 0,
    report: Callable[[int, dict[str, float]], None] = lambda _done, _losses: None,
) -> fx.GraphModule:
    """Return the network of `start`, trained to be as sure as `teacher` of faces that were altered.

    Args:
        teacher: the recogniser as published.
        start: another copy of it, or one that was trained for a smaller epsilon; it is changed.
        faces: (N, 144, 144, 3) uint8 RGB, the ArcFace template with 16 px of margin.
        course: epsilon and how many faces are drawn.
        seed: of what is drawn.
        report: hears how many faces were seen, and the running losses.

    Raises:
        TrainingError: the recogniser sees faces through another template, for which these are not aligned.
    """
    _check_template(teacher)
    random, device = np.random.default_rng(seed), teacher.mean.device
    torch.manual_seed(seed)
    steps = max(course.samples // course.batch, 1)
    student = start.network.requires_grad_(True)
    descent = Descent(student, device, steps, course.rate, 0.0, AVERAGE)
    for step in range(steps):
        crops = draw(faces, teacher, course.batch, random).to(device)
        with torch.no_grad():
            wanted = functional.normalize(teacher.outputs(crops), dim=1)
        losses = _learn(replace(start, network=descent.network), crops, wanted, course)
        descent.advance(losses)
        report((step + 1) * course.batch, descent.running)
    assert isinstance(descent.kept, fx.GraphModule), "load_graph gives nothing else"
    return descent.kept


def draw(faces: Faces, recogniser: Recogniser, number: int, random: np.random.Generator) -> Tensor:
    """Return `number` crops as the recogniser is shown them, (N, 3, H, W) RGB in 0..255, shifted and mirrored."""
    height, width = recogniser.card.input.height, recogniser.card.input.width
    crops = []
    middle = np.array([FACE_PX - height, FACE_PX - width]) // 2
    for place in random.integers(len(faces), size=number):
        top, left = middle + random.integers(-JITTER_PX, JITTER_PX + 1, 2)
        crop = faces[place, top : top + height, left : left + width]
        crops.append(crop[:, ::-1] if random.random() < 0.5 else crop)
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    return pixels.contiguous(memory_format=torch.channels_last)


def _learn(student: Recogniser, crops: Tensor, wanted: Tensor, course: Course) -> dict[str, Tensor]:
    """Leave the gradient of both losses in the student's weights, and return them.

    The first gradient that shows where the worst change lies also teaches: that costs one pass, not two.
    """
    epsilon, losses = course.epsilon_255, dict[str, Tensor]()
    length = epsilon * (ALPHA if course.passes == 1 else PATH / course.passes)
    change = torch.empty_like(crops).uniform_(-epsilon, epsilon)
    for number in range(course.passes):
        inputs = (crops + change).clamp(0, 255).requires_grad_()
        distance = _distance(student, inputs, wanted)
        if number:
            (gradient,) = torch.autograd.grad(distance, inputs)
        else:
            gradient = _taught(RANDOM_WEIGHT * distance, inputs)
            losses["random"] = distance.detach()
        change = (change + length * gradient.sign()).clamp(-epsilon, epsilon)
    worst = _distance(student, (crops + change).clamp(0, 255), wanted)
    worst.backward()  # type: ignore[no-untyped-call]
    return {**losses, "worst": worst.detach()}


def _taught(loss: Tensor, inputs: Tensor) -> Tensor:
    """Leave the gradient of `loss` in the weights, and return that by the pixels."""
    loss.backward()  # type: ignore[no-untyped-call]
    assert inputs.grad is not None, "it was asked for"
    return inputs.grad


def _distance(student: Recogniser, crops: Tensor, wanted: Tensor) -> Tensor:
    return 1 - functional.cosine_similarity(student.outputs(crops), wanted).mean()


def _check_template(recogniser: Recogniser) -> None:
    if recogniser.frame != (TEMPLATE, 112, 112):
        raise TrainingError(f"{recogniser.card.name}: its template is not arcface-112, to which the faces are aligned")
