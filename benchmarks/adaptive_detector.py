"""A detector of cloaks: a small network that learns which of two files, out of the same encoder, is cloaked.

LightShed (USENIX Security 2025) finds poisoned images before it cleans them; here only the finding. The first layers
see what blurring takes away, too, as detectors of hidden messages do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from adaptive_learning import AVERAGE, CHUNK, Course, Draws, tell
from adaptive_pairs import FACE_PX, Pairs, decoded, encoded
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.train.descent import Descent
from uncnn.plugins.api import Pixels
from uncnn.plugins.geometry import ARCFACE_112, Floats

FALSE_ALARMS: Final = 0.01
CHANNELS: Final = (16, 32, 64, 96)
AFTER: Final = ("as published", "JPEG 75", "half size")


class CloakDetector(nn.Module):
    """Gives of a face, (N, 3, 112, 112) in 0..255, how cloaked it looks, (N,)."""

    def __init__(self) -> None:
        """Begin at random."""
        super().__init__()
        blocks: list[nn.Module] = []
        for one, other in zip((6, *CHANNELS[:-1]), CHANNELS, strict=True):
            convolved = nn.Conv2d(one, other, 3, stride=1 if one == 6 else 2, padding=1, bias=False)
            blocks += [convolved, nn.BatchNorm2d(other), nn.SiLU()]
            blocks += [
                nn.Conv2d(other, other, 3, padding=1, groups=other, bias=False),
                nn.BatchNorm2d(other),
                nn.SiLU(),
            ]
        self.features = nn.Sequential(*blocks)
        self.last = nn.Linear(CHANNELS[-1], 1)

    def forward(self, faces: Tensor) -> Tensor:
        """Return the logits."""
        fine = faces - functional.avg_pool2d(functional.pad(faces, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        features: Tensor = self.features(torch.cat([faces / 127.5 - 1, fine / 8], dim=1))
        return self.last(features.mean(dim=(2, 3))).flatten()


def after(photo: Pixels, what: str) -> Pixels:
    """Return a published file as it is once somebody has encoded it anew, or shown it at half size and enlarged it."""
    if what == "JPEG 75":
        return decoded(encoded(photo, 75))
    if what == "half size":
        image = Image.fromarray(photo)
        small = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
        return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))
    return photo


def cloak_detector(pairs: Pairs, course: Course) -> CloakDetector:
    """Return a detector after a course, half of it on files as published and a quarter each on what is `after`."""
    torch.manual_seed(0)
    draws = Draws(pairs, np.random.default_rng(0))
    ways = [_after_all(pairs, what).tensors() for what in AFTER]
    descent = Descent(CloakDetector(), torch.device("cpu"), course.steps, course.rate, 1e-4, AVERAGE)
    truth = torch.cat([torch.zeros(course.batch), torch.ones(course.batch)])
    began = time.process_time()
    for step in range(course.steps):
        clean, cloaked = ways[(0, 1, 0, 2)[step % 4]]
        numbers = draws.some(course.batch)
        faces = torch.cat(draws.aligned([clean[numbers], cloaked[numbers]], ARCFACE_112, (112, 112)))
        descent.step({"wrong": functional.binary_cross_entropy_with_logits(descent.network(faces), truth)})
        tell(step, course.steps, descent.running, began)
    return descent.kept


def _after_all(pairs: Pairs, what: str) -> Pairs:
    clean, cloaked = (np.stack([after(face, what) for face in faces]) for faces in (pairs.clean, pairs.cloaked))
    return replace(pairs, clean=clean, cloaked=cloaked)


@torch.no_grad()
def scores(network: nn.Module, faces: Sequence[Pixels]) -> Floats:
    """Return how cloaked aligned faces, (144, 144, 3) each, look, (N,)."""
    edge = (FACE_PX - 112) // 2
    inside = np.stack([face[edge:-edge, edge:-edge] for face in faces])
    batch = torch.from_numpy(inside).permute(0, 3, 1, 2)
    return np.concatenate([network(part.float()).numpy() for part in batch.split(CHUNK)]).astype(np.float64)


def alarm(clean: Floats, false_alarms: float = FALSE_ALARMS) -> float:
    """Return the score above which no more than that share of clean faces lies."""
    falling = np.sort(clean)[::-1]
    return float(falling[int(false_alarms * len(falling))])
