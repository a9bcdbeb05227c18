"""Recognisers that learn from pairs made with the tool: a student of the clean photo's embedding, and one of names.

The student follows FaceLinkGen's finding that who can call a cloaking tool at will can make training data without end
and distil a recogniser from it, with the published recogniser, frozen, as the teacher. The other learns whose photos
the cloaked ones are, with the margin of Wang and others, "CosFace", CVPR 2018. Both start from `mobilefacenet-y1`,
which no cloak was made against, and neither sees anybody whom it is asked about.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from adaptive_pairs import POINTS_144, Pairs
from adaptive_photos import Judged, Looked
from adaptive_scores import Known, calibrated
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.train.descent import Descent, stand_still
from uncnn.plugins.api import Pixels
from uncnn.plugins.geometry import Floats, similarities
from uncnn.plugins.recognisers.cards import Embeddings
from uncnn.plugins.recognisers.onnx_recogniser import crop
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.recognisers.warp import warp

JITTER_PX: Final = 1.5  # standard deviation of a landmark: those that detectors find are not exact
AVERAGE: Final = 0.98  # of the weights
SCALE: Final = 32.0  # of cosines in the softmax over names
MARGIN: Final = 0.2  # that the right name must be ahead by
CHUNK: Final = 32  # crops a run


@dataclass(frozen=True, slots=True)
class Course:
    """How long an adversary learns."""

    steps: int
    batch: int = 8  # pairs: twice as many faces
    rate: float = 3e-4


@dataclass(slots=True)
class Draws:
    """Batches of pairs, both photos of a pair in the same random alignment, mirrored or not."""

    pairs: Pairs
    random: np.random.Generator

    def some(self, number: int) -> list[int]:
        """Return which pairs come next."""
        return self.random.integers(len(self.pairs.people), size=number).tolist()

    def aligned(self, photos: Sequence[Tensor], template: Floats, size: tuple[int, int]) -> list[Tensor]:
        """Return photos (N, 3, 144, 144) uint8 RGB of the same faces as (N, 3, height, width) in 0..255."""
        points = POINTS_144 + self.random.normal(0, JITTER_PX, (len(photos[0]), *POINTS_144.shape))
        matrices = torch.from_numpy(similarities(points, template)).float()
        mirror = self.random.random() < 0.5
        views = [warp(each.float(), matrices, *size) for each in photos]
        return [view.flip(3) if mirror else view for view in views]


def distilled(folder: Path, pairs: Pairs, course: Course) -> Recogniser:
    """Return a recogniser that says of a cloaked face what the published one says of the clean one."""
    teacher, start = load_recogniser(folder), load_recogniser(folder)

    def losses(student: Recogniser, clean: Tensor, cloaked: Tensor, _: list[int]) -> dict[str, Tensor]:
        with torch.no_grad():
            wanted = functional.normalize(teacher.outputs(clean), dim=1)
        seen = functional.normalize(student.outputs(torch.cat([cloaked, clean])), dim=1)
        far = 1 - (seen * wanted.repeat(2, 1)).sum(dim=1)
        return {"cloaked": far[: len(clean)].mean(), "clean": far[len(clean) :].mean()}

    return _taught(start, nn.ParameterList(), pairs, course, losses)


def named(folder: Path, pairs: Pairs, course: Course) -> Recogniser:
    """Return a recogniser that was fine-tuned to name the people of cloaked and of clean photos."""
    start = load_recogniser(folder)
    names = sorted(set(pairs.people))
    labels = torch.tensor([names.index(person) for person in pairs.people])
    centres = nn.Parameter(_centres(start, pairs, labels))

    def losses(student: Recogniser, clean: Tensor, cloaked: Tensor, numbers: list[int]) -> dict[str, Tensor]:
        seen = functional.normalize(student.outputs(torch.cat([cloaked, clean])), dim=1)
        whose = labels[numbers].repeat(2)
        cosines = seen @ functional.normalize(centres, dim=1).T
        logits = SCALE * (cosines - MARGIN * functional.one_hot(whose, len(names)))
        lost = functional.cross_entropy(logits, whose, reduction="none")
        return {"cloaked": lost[: len(clean)].mean(), "clean": lost[len(clean) :].mean()}

    return _taught(start, nn.ParameterList([centres]), pairs, course, losses)


def _centres(recogniser: Recogniser, pairs: Pairs, labels: Tensor) -> Tensor:
    """Return the mean embedding of each person's clean photos, (people, D)."""
    faces = [crop(face, _matrix(recogniser, POINTS_144), _size(recogniser)) for face in pairs.clean]
    seen = functional.normalize(torch.from_numpy(_outputs(recogniser, faces)), dim=1)
    sums = torch.zeros(int(labels.max()) + 1, seen.shape[1]).index_add_(0, labels, seen)
    return functional.normalize(sums, dim=1)


Losses = Callable[[Recogniser, Tensor, Tensor, list[int]], dict[str, Tensor]]


def _taught(start: Recogniser, head: nn.ParameterList, pairs: Pairs, course: Course, losses: Losses) -> Recogniser:
    """Return `start` after a course; the weights of the head learn with it."""
    torch.manual_seed(0)
    draws = Draws(pairs, np.random.default_rng(0))
    clean, cloaked = pairs.tensors()
    whole = nn.ModuleDict({"network": start.network.requires_grad_(True), "head": head})
    descent = Descent(whole, torch.device("cpu"), course.steps, course.rate, 0.0, AVERAGE)
    stand_still(descent.network)
    student = replace(start, network=descent.network["network"])
    frame = np.array(start.card.template), (start.card.input.height, start.card.input.width)
    began = time.process_time()
    for step in range(course.steps):
        numbers = draws.some(course.batch)
        descent.step(losses(student, *draws.aligned([clean[numbers], cloaked[numbers]], *frame), numbers))
        tell(step, course.steps, descent.running, began)
    return replace(start, network=descent.kept["network"].eval())


def tell(step: int, steps: int, running: dict[str, float], began: float) -> None:
    """Print how a course goes, ten times."""
    if (step + 1) % max(steps // 10, 1) == 0:
        lost = ", ".join(f"{name} {value:.3f}" for name, value in running.items())
        print(f"  step {step + 1} of {steps}: {lost}; {time.process_time() - began:.0f} core-seconds", flush=True)


def seen_anew(recogniser: Recogniser, judged: Judged) -> tuple[Known, dict[str, Embeddings], dict[str, Embeddings]]:
    """Return what a recogniser sees in clean photos and strangers, in the copies, and in files without a cloak.

    Its threshold is the one that 1 of 1,000 pairs of two strangers' clean photos reach in its own eyes.
    """
    name = recogniser.card.name
    clean = _embedded(recogniser, judged.clean())
    photos, strangers = clean[: len(judged.portraits)], clean[len(judged.portraits) :]
    known = Known((calibrated(name, strangers),), judged.people, judged.numbers, {name: photos}, {name: strangers})
    shown = (judged.copies, judged.published)
    copies, files = (_embedded(recogniser, list(zip(some, judged.points, strict=True))) for some in shown)
    return known, {name: copies}, {name: files}


def _embedded(recogniser: Recogniser, faces: Sequence[Looked]) -> Embeddings:
    return _outputs(recogniser, [crop(photo, _matrix(recogniser, own), _size(recogniser)) for photo, own in faces])


@torch.no_grad()
def _outputs(recogniser: Recogniser, crops: Sequence[Pixels]) -> Embeddings:
    """Return embeddings, (N, D), of crops as the recogniser is shown them."""
    faces = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    parts = [recogniser.outputs(part.float().contiguous()) for part in faces.split(CHUNK)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def _matrix(recogniser: Recogniser, points: Floats) -> Floats:
    matrix: Floats = similarities(points[None], np.array(recogniser.card.template))[0]
    return matrix


def _size(recogniser: Recogniser) -> tuple[int, int]:
    return recogniser.card.input.width, recogniser.card.input.height
