"""How a photo reaches a recogniser: found a little elsewhere, blurred, resized, compressed.

An attack that only ever sees the clean patch overfits to it; these views are drawn anew at each step (expectation over
transformation: Athalye et al., "Synthesizing robust adversarial examples", ICML 2018).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uncnn.plugins.geometry import Floats

CLEAN_EVERY = 3  # of three steps one sees the patch as it is
JITTER_112 = 2.0  # standard deviation of a landmark, in ArcFace-112 pixels
BLUR_112 = 1.5  # largest sigma, in ArcFace-112 pixels
SHRINK = 0.7  # smallest factor of a resize
JPEG_QUALITY = (60, 95)


@dataclass(frozen=True, slots=True)
class View:
    """One way of seeing a batch of patches."""

    landmarks: Floats  # (N, 5, 2) where the detector is taken to have found the points, patch pixels
    resampling: Tensor | None  # (N, P, P): blur and resize along one axis; None: as it is
    qualities: list[int] | None  # JPEG quality of each patch

    def show(self, patches: Tensor) -> Tensor:
        """Return `patches` (N, 3, P, P) as this view has them; JPEG passes the gradient straight through."""
        if self.resampling is not None:
            operator = self.resampling.unsqueeze(1)
            patches = operator @ patches @ operator.transpose(2, 3)
        if self.qualities is not None:
            patches = patches + (_compressed(patches.detach(), self.qualities) - patches.detach())
        return patches


def draw_view(landmarks: Floats, units: Floats, seeds: list[int], step: int, side: int, device: torch.device) -> View:
    """Return the view of `step`: clean at every third, else drawn from each face's own seed.

    `units` (N,) is the size of an ArcFace-112 pixel in patch pixels, `side` the patches' width.
    """
    if step % CLEAN_EVERY == 0:
        return View(landmarks, None, None)
    moved, operators, qualities = [], [], []
    for points, unit, seed in zip(landmarks, units, seeds, strict=True):
        random = np.random.default_rng((seed, step))
        moved.append(points + random.normal(0, JITTER_112 * unit, points.shape))
        operators.append(resampling(side, BLUR_112 * unit * random.random(), 1 - (1 - SHRINK) * random.random()))
        qualities.append(int(random.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1)))
    operator = torch.from_numpy(np.stack(operators).astype(np.float32)).to(device)
    return View(np.stack(moved), operator, qualities)


def gaussian(side: int, sigma: float) -> Floats:
    """Return the (side, side) matrix that blurs a column with a Gaussian; its rows sum to 1, also at the border.

    As a matrix product a blur is about ten times faster on a CPU than as a depthwise convolution.
    """
    distance = np.subtract.outer(np.arange(side), np.arange(side)) / max(sigma, 1e-3)
    weights = np.where(np.abs(distance) < 4, np.exp(-0.5 * distance**2), 0.0)  # no denormals: they are slow
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def resampling(side: int, sigma: float, scale: float) -> Floats:
    """Return the (side, side) matrix that blurs a column, shrinks it to `scale` and enlarges it again."""
    small = max(round(side * scale), 1)
    down = _triangle(small, side)
    up = _triangle(side, small)
    return np.asarray(up @ (down @ gaussian(side, sigma)))


def _triangle(out: int, size: int) -> Floats:
    """Return the (out, size) matrix of a bilinear resize, widened when it shrinks (no aliasing)."""
    ratio = size / out
    centres = (np.arange(out) + 0.5) * ratio - 0.5
    distance = np.abs(np.subtract.outer(centres, np.arange(size))) / max(ratio, 1.0)
    weights = np.maximum(1 - distance, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _compressed(patches: Tensor, qualities: list[int]) -> Tensor:
    """Return `patches` after real JPEG (4:2:0) at `qualities`, one a patch."""
    arrays = patches.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    results = []
    for array, quality in zip(arrays, qualities, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "JPEG", quality=quality)
        results.append(np.asarray(Image.open(buffer)))
    return torch.from_numpy(np.stack(results)).permute(0, 3, 1, 2).to(patches.device, patches.dtype)
