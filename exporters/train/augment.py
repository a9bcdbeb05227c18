"""How a face may look in a photo: under another light, blurred, shrunk, noisy, compressed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins.engine.views import compressed
from uncnn.plugins.resampling import resampling

FACE_PX = 144  # of a file in the training set: the ArcFace-112 template with 16 px of margin on every side


def relight(pixels: Tensor, random: np.random.Generator, grey: float = 0.1) -> Tensor:
    """Return (N, 3, H, W) under another light: gamma, contrast, colour, one side brighter; a share of them grey."""
    number, _, height, width = pixels.shape
    luma = (pixels * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    pixels = torch.where(_column(random.random(number)) < grey, luma, pixels)
    pixels = 255 * (pixels.clamp(0, 255) / 255) ** _column(np.exp(random.normal(0, 0.25, number)))
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    pixels = mean + (pixels - mean) * _column(random.uniform(0.6, 1.3, number))
    pixels = pixels * _column(random.uniform(0.92, 1.08, (number, 3))) + _column(random.normal(0, 20, number))
    direction = random.uniform(0, 2 * np.pi, number)
    across = _column(np.cos(direction)) * torch.linspace(-1, 1, width).view(1, 1, 1, -1)
    down = _column(np.sin(direction)) * torch.linspace(-1, 1, height).view(1, 1, -1, 1)
    return pixels * (1 + _column(np.clip(random.normal(0, 0.2, number), -0.5, 0.5)) * (across + down))


def degrade(pixels: Tensor, random: np.random.Generator, resampled: float, noisy: float, packed: float) -> Tensor:
    """Return square (N, 3, H, H), a share of them blurred and shrunk, a share noisy, a share through JPEG; uint8."""
    number, _, side, _ = pixels.shape
    some = np.flatnonzero(random.random(number) < resampled)
    if len(some):
        sigmas = torch.from_numpy(random.uniform(0, 1.5, len(some))).float()
        scales = torch.from_numpy(random.uniform(0.4, 1.0, len(some))).float()
        operator = resampling(side, sigmas, scales).unsqueeze(1)
        pixels[some] = operator @ pixels[some] @ operator.transpose(2, 3)
    some = np.flatnonzero(random.random(number) < noisy)
    noise = torch.from_numpy(random.standard_normal((len(some), *pixels.shape[1:]), dtype=np.float32))
    pixels[some] += noise * _column(random.uniform(0, 8, len(some)))
    some = np.flatnonzero(random.random(number) < packed)
    if len(some):
        pixels[some] = compressed(pixels[some], random.integers(40, 96, len(some)).tolist())
    return pixels.clamp(0, 255).round().to(torch.uint8)


def _column(values: np.ndarray) -> Tensor:
    """Return (N,) or (N, C) values so that they go over (N, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(values)).float().view(*values.shape, *(1,) * (4 - values.ndim))
