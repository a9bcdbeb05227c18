"""How a photo reaches a recogniser: found a little elsewhere, mirrored, blurred, resized, compressed.

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

from uncnn.plugins.engine.jpeg import recompressed
from uncnn.plugins.geometry import Floats
from uncnn.plugins.resampling import resampling

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
    mirrored: tuple[
        bool, ...
    ] = ()  # whether each crop is shown in a mirror, as recognisers often are asked; (): none is

    def show(self, patches: Tensor) -> Tensor:
        """Return `patches` (N, 3, P, P) as this view has them; JPEG passes the gradient straight through."""
        if self.resampling is not None:
            operator = self.resampling.unsqueeze(1)
            patches = operator @ patches @ operator.transpose(2, 3)
        if self.qualities is not None:
            patches = patches + (compressed(patches.detach(), self.qualities) - patches.detach())
        return patches

    def turn(self, crops: Tensor) -> Tensor:
        """Return aligned `crops` (N, 3, H, W), those of mirrored faces in a mirror."""
        if not any(self.mirrored):
            return crops
        mirrored = torch.tensor(self.mirrored, device=crops.device)[:, None, None, None]
        return torch.where(mirrored, crops.flip(3), crops)


def draw_view(landmarks: Floats, units: Floats, seeds: list[int], step: int, side: int, device: torch.device) -> View:
    """Return the view of `step`: clean at every third, else drawn from each face's own seed.

    `units` (N,) is the size of an ArcFace-112 pixel in patch pixels, `side` the patches' width.
    """
    if step % CLEAN_EVERY == 0:
        return View(landmarks, None, None)
    moved, sigmas, scales, qualities, mirrored = [], [], [], [], []
    for points, unit, seed in zip(landmarks, units, seeds, strict=True):
        random = np.random.default_rng((seed, step))
        moved.append(points + random.normal(0, JITTER_112 * unit, points.shape))
        sigmas.append(BLUR_112 * unit * random.random())
        scales.append(1 - (1 - SHRINK) * random.random())
        qualities.append(int(random.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1)))
        mirrored.append(bool(random.integers(2)))
    operator = resampling(side, torch.tensor(sigmas, device=device), torch.tensor(scales, device=device))
    return View(np.stack(moved), operator, qualities, tuple(mirrored))


def compressed(patches: Tensor, qualities: list[int]) -> Tensor:
    """Return `patches` after JPEG (4:2:0) at `qualities`, one a patch: libjpeg's own, or on a GPU its equal there."""
    if patches.device.type != "cpu":
        return recompressed(patches, qualities)
    arrays = patches.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    results = []
    for array, quality in zip(arrays, qualities, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "JPEG", quality=quality)
        results.append(np.asarray(Image.open(buffer)))
    return torch.from_numpy(np.stack(results)).permute(0, 3, 1, 2).to(patches.device, patches.dtype)
