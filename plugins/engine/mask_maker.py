"""How a person's mask is made: one change that takes all photos of the person off the recognisers at once.

Zhong and Deng, "OPOM: customized invisible cloak towards face privacy protection", PAMI 45(3), 2023: down the gradient
of each photo's likeness to the person, summed over the photos. Each photo is taken away from its own clean embedding
and from the centre of them all (OPOM's class center). Wang, Yang, Lu, Chow, "Protego: user-centric pose-invariant
privacy protection against face recognition-induced digital footprint exposure", AAAI 2026, also keep masked photos from
each other; so does the last term here. Momentum: Dong and others, "Boosting adversarial attacks with momentum", CVPR
2018. Departing from all: the steps are of values in bands of spatial frequencies, as those of `veil`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.api import Budget, Pixels
from uncnn.plugins.engine import steps as steps_of
from uncnn.plugins.engine.aligned import face_in_frame
from uncnn.plugins.engine.batch import FaceBatch, together
from uncnn.plugins.engine.loss import EnsembleLoss, embeddings
from uncnn.plugins.engine.objectives import RIGHT_ANGLE, Cosine
from uncnn.plugins.engine.oracle import Oracle
from uncnn.plugins.engine.pullback import pull_back
from uncnn.plugins.geometry import Floats
from uncnn.plugins.person_mask import SIDES, PersonMask, drawn_on
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

FACES: Final = 4  # a step
MOMENTUM: Final = 0.8
EVENNESS: Final = 0.5  # as `veil`'s
STEP_SIZE: Final = 2.0  # how far all steps go together, bounds of the face

CENTRE: Final = 1.0  # weights, where the photo's own embedding counts 1
TOGETHER: Final = 0.3
APART: Final = 0.1  # a cosine below which two masked photos are left alone


@dataclass(frozen=True, slots=True)
class Apart:
    """How near masked faces of one person are to their own photos, to the centre of them, and to each other."""

    own: Tensor  # (N, D), unit
    centre: Tensor  # (N, D), unit: the same for all
    raw: bool = False

    def score(self, outputs: Tensor) -> Tensor:
        """Return the score of each face, (N,), from unit embeddings (N, D)."""
        scores = Cosine(self.own, floor=RIGHT_ANGLE).score(outputs)
        scores = scores + CENTRE * Cosine(self.centre, floor=RIGHT_ANGLE).score(outputs)
        if len(outputs) < 2:
            return scores
        others = outputs.roll(1, dims=0)
        return scores + TOGETHER * Cosine(others, floor=APART).score(outputs)

    def part(self, faces: slice) -> Apart:
        """Return the objective of some of the faces."""
        return Apart(self.own[faces], self.centre[faces])


def make_mask(
    pictures: Sequence[tuple[Pixels, Floats]],
    surrogates: Sequence[Recogniser],
    budget: Budget,
    steps: int,
    seed: int = 0,
    on_step: Callable[[int, int], None] = lambda _done, _of: None,
) -> PersonMask:
    """Return a mask for the person whom `pictures` show.

    Args:
        pictures: upright (H, W, 3) uint8 RGB, and where the face is, (5, 2) landmarks in its pixels.
        surrogates: the recognisers that are attacked.
        budget: what the mask is to be drawn within.
        steps: of the descent.
        seed: of what is drawn.
        on_step: hears how many steps are done, and of how many.
    """
    device = str(surrogates[0].mean.device)
    faces = together(
        [
            face_in_frame(each, points, budget, seed + number, device)
            for number, (picture, landmarks) in enumerate(pictures)
            for each, points in ((picture, landmarks), mirrored(picture, landmarks))
        ]
    )
    own = embeddings(surrogates, faces)
    centres = [functional.normalize(each.mean(dim=0), dim=0).expand_as(each) for each in own]
    random = np.random.default_rng(seed)
    heads = [
        steps_of.START * torch.from_numpy(random.uniform(-1, 1, (3, side, side))).float().to(device) for side in SIDES
    ]
    velocity = [torch.zeros_like(head) for head in heads]
    for step in range(steps):
        chosen = [int(each) for each in random.choice(len(faces.seeds), min(FACES, len(faces.seeds)), replace=False)]
        part = picked(faces, chosen, [int(each) for each in random.integers(1 << 31, size=len(chosen))])
        objectives = [Apart(one[chosen], centre[chosen]) for one, centre in zip(own, centres, strict=True)]
        loss = EnsembleLoss(surrogates, part, objectives, cache(lambda: Oracle(surrogates, faces)))
        with torch.enable_grad():
            leaves = [head.requires_grad_() for head in heads]
            inputs = (part.patches + drawn_on(part, leaves)).clamp(0, 255)
        slopes = pull_back([inputs], leaves, [loss.gradient(inputs.detach(), step + 1)])
        rate = 2 * STEP_SIZE / steps * (1 - step / steps)
        velocity = [MOMENTUM * old + steps_of.unit(slope[None])[0] for old, slope in zip(velocity, slopes, strict=True)]
        ways = [steps_of.even(way[None], way[None] != 0, EVENNESS)[0] for way in velocity]
        heads = [(head.detach() - rate * way).clamp(-1, 1) for head, way in zip(heads, ways, strict=True)]
        on_step(step + 1, steps)
    kept = tuple(head.cpu().numpy().astype(np.float32) for head in heads)
    return PersonMask(kept, tuple(each.card.sha256 for each in surrogates))


def mirrored(picture: Pixels, landmarks: Floats) -> tuple[Pixels, Floats]:
    """Return a picture in a mirror, and where the face is there."""
    points = landmarks * [-1, 1] + [picture.shape[1] - 1, 0]
    return np.ascontiguousarray(picture[:, ::-1]), points[[1, 0, 2, 4, 3]]


def picked(faces: FaceBatch, numbers: Sequence[int], seeds: list[int]) -> FaceBatch:
    """Return some of the faces, with other seeds: views of their own."""
    return replace(together([faces.part(slice(number, number + 1)) for number in numbers]), seeds=seeds)
