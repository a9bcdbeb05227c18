"""A purifier: a small U-Net that learns from pairs to take the cloak off, by pixels and by what a recogniser sees.

Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, here with three levels and a residual. The recogniser is
`mobilefacenet-casia-tf2`, which no cloak was made against and which is not asked afterwards either.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from adaptive_learning import AVERAGE, CHUNK, Course, Draws, tell
from adaptive_pairs import FACE_PX, POINTS_144, Pairs
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.train.descent import Descent
from uncnn.plugins.api import Pixels
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

GUIDE: Final = "mobilefacenet-casia-tf2"
CHANNELS: Final = (16, 32, 64, 96)
PIXELS: Final = 0.1  # of a grey level, beside one unit of cosine


class Purifier(nn.Module):
    """Gives a face, (N, 3, 144, 144) in 0..255, back without its cloak."""

    def __init__(self) -> None:
        """Begin as the identity."""
        super().__init__()
        above = (3, *CHANNELS[:-1])
        self.down = nn.ModuleList(_pair(one, other) for one, other in zip(above, CHANNELS, strict=True))
        joined = list(zip(CHANNELS[1:], CHANNELS[:-1], strict=True))
        self.up = nn.ModuleList(_pair(deep + shallow, shallow) for deep, shallow in reversed(joined))
        self.last = nn.Conv2d(CHANNELS[0], 3, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, faces: Tensor) -> Tensor:
        """Return the faces, purified."""
        values, kept = faces / 127.5 - 1, []
        for level, block in enumerate(self.down):
            values = block(functional.avg_pool2d(values, 2) if level else values)
            kept.append(values)
        for block, beside in zip(self.up, reversed(kept[:-1]), strict=True):
            values = block(torch.cat([functional.interpolate(values, scale_factor=2, mode="bilinear"), beside], dim=1))
        return (faces + 127.5 * self.last(values)).clamp(0, 255)


def _pair(one: int, other: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(one, other, 3, padding=1), nn.SiLU(), nn.Conv2d(other, other, 3, padding=1), nn.SiLU()
    )


def purifier(folder: Path, pairs: Pairs, course: Course) -> Purifier:
    """Return a purifier after a course; `folder` is that of the recogniser that guides it."""
    torch.manual_seed(0)
    guide, draws = load_recogniser(folder), Draws(pairs, np.random.default_rng(0))
    guide.network.requires_grad_(False)
    clean, cloaked = pairs.tensors()
    descent = Descent(Purifier(), torch.device("cpu"), course.steps, course.rate, 0.0, AVERAGE)
    points = np.repeat(POINTS_144[None], 2 * course.batch, axis=0)
    began = time.process_time()
    for step in range(course.steps):
        numbers = draws.some(course.batch)
        wanted, spoofed = draws.aligned([clean[numbers], cloaked[numbers]], POINTS_144, (FACE_PX, FACE_PX))
        made = descent.network(torch.cat([spoofed, wanted]))  # a clean face is to stay what it is
        with torch.no_grad():
            known = guide.embed(wanted, points[: course.batch]).repeat(2, 1)
        far = 1 - (guide.embed(made, points) * known).sum(dim=1).mean()
        descent.step({"pixels": PIXELS * (made - wanted.repeat(2, 1, 1, 1)).abs().mean(), "seen": far})
        tell(step, course.steps, descent.running, began)
    return descent.kept


@torch.no_grad()
def purified(network: nn.Module, faces: Sequence[Pixels]) -> list[Pixels]:
    """Return aligned faces, (144, 144, 3) each, through a purifier."""
    batch = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2)
    parts = [network(part.float()).round().byte().permute(0, 2, 3, 1).numpy() for part in batch.split(CHUNK)]
    return list(np.concatenate(parts))
