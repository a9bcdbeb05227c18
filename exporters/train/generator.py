"""How the generator is taught to draw, in one pass, a change that takes a face off recognisers.

Poursaeed, Katsman, Gao, Belongie, "Generative adversarial perturbations", CVPR 2018: a network draws the change, the
recognisers' losses go back through it. Departing from them: it draws shares of what each band of spatial frequencies
may have before it shows, so that the host's budget lies inside what is learnt; the surrogates see each drawing in the
views that `veil` is seen in; and beside getting away from the person (from her same photo and from another one), two
cloaked photos of one person must not land together, nor those of two people: a network that answers every face with
one drawing takes all to one place, where they are linked to each other.

Each step draws people with two photos each. One half of them is shown to one surrogate and
one half to another, so that each face costs one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from uncnn.exporters.train.augment import FACE_PX
from uncnn.exporters.train.descent import Descent
from uncnn.plugins import geometry
from uncnn.plugins.engine.batch import bounded_batch
from uncnn.plugins.engine.objectives import RIGHT_ANGLE, Cosine
from uncnn.plugins.engine.views import CLEAN_EVERY, draw_view
from uncnn.plugins.generator.network import SIDE, GeneratorNetwork, bounded
from uncnn.plugins.perception.contrast import Bands
from uncnn.plugins.perception.pixel_bounds import bound_chroma_and_luma
from uncnn.plugins.perception.vision import OPPONENT
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.recognisers.warp import warp
from uncnn.plugins.registry import STRENGTHS

BUDGET: Final = STRENGTHS["balanced"]
STRONGER: Final = (0.8, 1.4)  # times the budget, drawn anew each step
WIDE: Final = 0.2  # share of the course in which the budget falls from twice as much

TURN, STRETCH, SHIFT_PX = 0.04, 0.03, 1.2  # standard deviations of where a face is found: radians, share, pixels
SHOWN: Final = (0.6, 2.5)  # photo pixels to a pixel of the aligned face: how large a photo the face is taken to be in
PHOTO_PX: Final = (250, 500)  # of that photo's side, at one photo pixel to a pixel

OTHER_PHOTO, TOGETHER, PEOPLE = 0.5, 0.4, 1.0  # weights, where the own photo counts 1
APART: Final = (0.1, 0.05)  # cosines below which two cloaked photos of one person, and of two, are left alone
SATURATED: Final = 3.0  # an output beyond which its bound has hardly a slope
SATURATION: Final = 0.02  # weight of what is beyond

LEAST_LIGHT: Final = 1e-4  # cd/m2: half precision has rounded less than that to 0
CHUNK: Final = 16  # faces that are prepared at once
AVERAGE: Final = 0.995  # of the weights
DECAY: Final = 1e-4

Pictures = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Course:
    """How many faces the generator is shown, how many people a step, and how fast it learns."""

    samples: int = 42_000
    people: int = 6  # an even number; each with two photos
    rate: float = 1.5e-3


@dataclass(frozen=True, slots=True)
class _Face:
    """An aligned face and what its budget leaves it; half precision."""

    picture: Tensor  # (3, SIDE, SIDE) uint8
    points: geometry.Floats  # (5, 2)
    bounds: tuple[Tensor, ...]
    ground: Tensor
    slope: Tensor
    luma: Tensor
    known: tuple[Tensor, ...]  # unit embeddings, a surrogate each


@dataclass(frozen=True, slots=True)
class _Batch:
    """Several of them."""

    pictures: Tensor  # (N, 3, SIDE, SIDE)
    points: geometry.Floats
    bands: Bands
    luma: Tensor  # (N, 1, SIDE, SIDE)
    known: tuple[Tensor, ...]  # (N, D) a surrogate each


def teach(
    surrogates: Sequence[Recogniser],
    faces: Pictures,
    people: Sequence[str],
    course: Course,
    seed: int = 0,
    report: Callable[[int, dict[str, float]], None] = lambda _done, _losses: None,
) -> GeneratorNetwork:
    """Return a generator that was taught against `surrogates`, which are not changed.

    Args:
        surrogates: two or more recognisers, on the device to compute on; judges must not be among them.
        faces: (N, 144, 144, 3) uint8 RGB, the ArcFace template with 16 px of margin.
        people: who each face is of.
        course: how many faces are drawn.
        seed: of what is drawn.
        report: hears how many faces were seen, and the running losses.
    """
    random, device = np.random.default_rng(seed), surrogates[0].mean.device
    torch.manual_seed(seed)
    for surrogate in surrogates:
        surrogate.network.requires_grad_(False)
    photos = [np.flatnonzero(np.array(people) == person) for person in sorted(set(people))]
    several = [each for each in photos if len(each) > 1]
    chunks = [faces[first : first + CHUNK] for first in range(0, len(faces), CHUNK)]
    prepared = [face for chunk in chunks for face in _prepared(chunk, surrogates, random)]
    steps = max(course.samples // (2 * course.people), 1)
    descent = Descent(GeneratorNetwork(), device, steps, course.rate, DECAY, AVERAGE)
    for step in range(steps):
        drawn = [several[each] for each in random.choice(len(several), course.people, replace=False)]
        numbers = [int(number) for each in drawn for number in random.choice(each, 2, replace=False)]
        batch = _batch([prepared[number] for number in numbers], bool(random.integers(2)), device)
        width = 1 + max(0.0, 1 - step / (WIDE * steps))
        descent.step(_losses(descent.network, batch, surrogates, width * random.uniform(*STRONGER), random))
        report((step + 1) * len(numbers), descent.running)
    return descent.kept


def changed(outputs: tuple[Tensor, ...], batch: _Batch, strength: float) -> Tensor:
    """Return the faces with what was drawn on them, (N, 3, SIDE, SIDE), at so many times the budget."""
    rest = batch.bands.bounds[-1]
    pixels = batch.bands.pixels([*(strength * value for value in bounded(outputs)), torch.zeros_like(rest)])
    most = strength * batch.luma
    return (batch.pictures + bound_chroma_and_luma(pixels, most, BUDGET.chroma * most)).clamp(0, 255)


def _losses(
    network: GeneratorNetwork,
    batch: _Batch,
    surrogates: Sequence[Recogniser],
    strength: float,
    random: np.random.Generator,
) -> dict[str, Tensor]:
    """Return what is still wrong, by name; the weights are in it."""
    outputs = network(batch.pictures)
    shown = changed(outputs, batch, strength)
    seeds = [int(each) for each in random.integers(1 << 31, size=len(shown))]
    step = int(random.integers(CLEAN_EVERY))
    totals: dict[str, list[Tensor]] = {"own": [], "other": [], "together": [], "people": []}
    halves = (slice(0, len(shown) // 2), slice(len(shown) // 2, len(shown)))
    for half, number in zip(halves, random.permutation(len(surrogates)), strict=False):
        points = batch.points[half]
        view = draw_view(points, np.ones(len(points)), seeds[half], step, SIDE, shown.device)
        surrogate = surrogates[number]
        crops = view.turn(surrogate.crops(view.show(shown[half]), view.landmarks))
        found = functional.normalize(surrogate.outputs(crops), dim=1)
        for name, loss in _apart(found, batch.known[number][half]).items():
            totals[name].append(loss)
    losses = {name: torch.stack(each).mean() for name, each in totals.items()}
    beyond = torch.stack([(output.abs() - SATURATED).clamp(min=0).mean() for output in outputs])
    return {**losses, "saturation": SATURATION * beyond.sum()}


def _apart(found: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Return how near the cloaked faces, (N, D), are to where they must not be; the photos of a person lie in pairs."""
    others = torch.arange(len(found), device=found.device) ^ 1
    same = torch.arange(len(found), device=found.device) // 2
    pairs = (same[:, None] != same).nonzero()

    def near(anchors: Tensor, floor: float, mine: Tensor = found) -> Tensor:
        return Cosine(anchors, floor=floor).score(mine).mean()

    return {
        "own": near(known, RIGHT_ANGLE),
        "other": OTHER_PHOTO * near(known[others], RIGHT_ANGLE),
        "together": TOGETHER * near(found[others], APART[0]),
        "people": PEOPLE * near(found[pairs[:, 1]], APART[1], found[pairs[:, 0]]),
    }


def _prepared(faces: Pictures, surrogates: Sequence[Recogniser], random: np.random.Generator) -> list[_Face]:
    """Return faces, (N, 144, 144, 3), as they were found, each a little turned and shifted, in photos of one size."""
    device, count = surrogates[0].mean.device, len(faces)
    angles, stretches = random.normal(0, TURN, count), np.exp(random.normal(0, STRETCH, count))
    cosines, sines = np.cos(angles) * stretches, np.sin(angles) * stretches
    linear = np.stack([np.stack([cosines, -sines], -1), np.stack([sines, cosines], -1)], 1)
    middle = np.full(2, (FACE_PX - 1) / 2)
    shifts = np.full(2, (SIDE - 1) / 2) + random.normal(0, SHIFT_PX, (count, 2)) - linear @ middle
    matrices = np.concatenate([linear, shifts[:, :, None]], axis=2)
    sources = torch.from_numpy(faces).to(device).permute(0, 3, 1, 2).float()
    pictures = warp(sources, torch.from_numpy(matrices).to(sources), SIDE, SIDE).clamp(0, 255).round()
    template = np.broadcast_to(geometry.ARCFACE_112 + (FACE_PX - 112) / 2, (count, 5, 2))
    points = geometry.transform(matrices, template)
    bands, luma = _budget(pictures, points, random)
    with torch.no_grad():
        known = [each.embed(pictures, points).half() for each in surrogates]
    return [
        _Face(
            pictures[number].byte(),
            points[number],
            tuple(bound[number].half() for bound in bands.bounds),
            bands.ground[number].half(),
            bands.slope[number].half(),
            luma[number].half(),
            tuple(each[number] for each in known),
        )
        for number in range(count)
    ]


def _budget(pictures: Tensor, points: geometry.Floats, random: np.random.Generator) -> tuple[Bands, Tensor]:
    """Return what the budget gives faces, and the bounds of luma."""
    low, high = np.log(SHOWN)
    scales = np.exp(random.uniform(low, high, len(pictures)))
    side = int(scales.mean() * random.uniform(*PHOTO_PX))
    inside, seeds = torch.ones_like(pictures[:, :1]), [0] * len(pictures)
    faces = bounded_batch(pictures, inside, points, list(scales), (side, side), BUDGET, seeds)
    assert faces.bands is not None, "the budget bounds what is seen"
    return faces.bands, faces.luma_limits


def _batch(faces: Sequence[_Face], mirrored: bool, device: torch.device) -> _Batch:
    """Return faces as a batch, perhaps all in a mirror."""

    def stacked(parts: Sequence[Tensor]) -> Tensor:
        together = torch.stack(list(parts)).to(device).float()
        return together.flip(3) if mirrored else together

    points = np.stack([face.points for face in faces])
    if mirrored:
        points = points * [-1, 1] + [SIDE - 1, 0]
        points = points[:, [1, 0, 2, 4, 3]]
    to_opponent = torch.tensor(OPPONENT, device=device)
    to_light = torch.linalg.inv(to_opponent)
    ground, slope = (stacked([getattr(face, name) for face in faces]) for name in ("ground", "slope"))
    bounds = tuple(stacked(each) for each in zip(*(face.bounds for face in faces), strict=True))
    bands = Bands(
        bounds,
        ground.clamp(min=LEAST_LIGHT),
        slope.clamp(min=LEAST_LIGHT),
        to_light.expand(len(faces), 3, 3),
        to_opponent.expand(len(faces), 3, 3),
    )
    known = tuple(torch.stack(each).to(device).float() for each in zip(*(face.known for face in faces), strict=True))
    return _Batch(
        stacked([face.picture for face in faces]), points, bands, stacked([face.luma for face in faces]), known
    )
