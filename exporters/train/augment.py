"""How a photo's face may reach a recogniser: the views on which students learn what their teachers say.

The teacher sees the very view that the student sees, and views are many and strong: Beyer, Zhai, Royer et al.,
"Knowledge distillation: A good teacher is patient and consistent", CVPR 2022. Two aligned faces are also mixed
(Zhang et al., "mixup", ICLR 2018), which gives the teachers more people than the photos have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins.views import compressed, resampling
from uncnn.plugins.warp import warp

FACE_PX = 144  # of a file in the training set: the ArcFace-112 template with 16 px of margin on every side
VIEW_PX = 128  # of a view: the same template with 8 px of margin
MARGIN = (VIEW_PX - 112) // 2


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far views go; shares are probabilities, the rest are standard deviations or largest values."""

    rotation_degrees: float = 4.0
    scale: float = 0.04
    shift_px: float = 2.0
    mixed: float = 0.3
    occluded: float = 0.15
    resampled: float = 0.4
    compressed: float = 0.3
    noisy: float = 0.3
    grey: float = 0.1

    def views(self, faces: Tensor, others: Tensor, random: np.random.Generator) -> Tensor:
        """Return a view, (N, 3, 128, 128) uint8, of each of `faces`, (N, 3, 144, 144) uint8 RGB.

        `others`, of the same shape, are what some are mixed with or covered by.
        """
        number = len(faces)
        pixels = _flipped(faces.float(), random)
        covering = _flipped(others.float(), random)
        share = np.where(random.random(number) < self.mixed, random.uniform(0.35, 0.65, number), 1.0)
        weight = torch.from_numpy(share).float().view(-1, 1, 1, 1)
        pixels = weight * pixels + (1 - weight) * covering
        pixels = warp(pixels, torch.from_numpy(self._similarities(number, random)).float(), VIEW_PX, VIEW_PX)
        pixels = self._occlude(pixels, covering[..., 8:-8, 8:-8], random)
        pixels = relight(pixels, random, self.grey)
        return degrade(pixels, random, self.resampled, self.noisy, self.compressed)

    def _similarities(self, number: int, random: np.random.Generator) -> np.ndarray:
        """Return matrices, (N, 2, 3), from pixels of a face to those of its view."""
        angle = np.radians(random.normal(0, self.rotation_degrees, number))
        size = np.exp(random.normal(0, self.scale, number))
        cosine, sine = size * np.cos(angle), size * np.sin(angle)
        linear = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], 1)
        centre = np.full(2, (FACE_PX - 1) / 2)
        shift = (VIEW_PX - 1) / 2 - linear @ centre + random.normal(0, self.shift_px, (number, 2))
        return np.concatenate([linear, shift[..., None]], axis=2)

    def _occlude(self, pixels: Tensor, covering: Tensor, random: np.random.Generator) -> Tensor:
        """Cover a rectangle of some faces by a flat grey or by another face's pixels."""
        pixels = pixels.clone()
        for row in np.flatnonzero(random.random(len(pixels)) < self.occluded):
            height, width = random.integers(16, 56, 2)
            top, left = random.integers(0, VIEW_PX - height), random.integers(0, VIEW_PX - width)
            place = (slice(None), slice(top, top + height), slice(left, left + width))
            pixels[row][place] = covering[row][place] if random.random() < 0.5 else float(random.uniform(0, 255))
        return pixels


def crop(views: Tensor) -> Tensor:
    """Return the ArcFace-112 template, (N, 3, 112, 112), of views (N, 3, 128, 128): what a recogniser is shown."""
    return views[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]


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


def _flipped(faces: Tensor, random: np.random.Generator) -> Tensor:
    """Return `faces` with every second one mirrored, by chance."""
    mirrored = torch.from_numpy(random.random(len(faces)) < 0.5).view(-1, 1, 1, 1)
    return torch.where(mirrored, faces.flip(3), faces)
