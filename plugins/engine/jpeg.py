"""JPEG where the pictures are: on a GPU, a round trip to the host at each step would cost more than the step.

ITU-T T.81 (baseline, 4:2:0), with libjpeg's tables, as Pillow hands them out, and its triangle filter for chroma. It
differs from libjpeg by what integer arithmetic rounds.
"""

from __future__ import annotations

import functools
import io
import math

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

BLOCK = 8
_MCU = 2 * BLOCK  # of two luma blocks and one of each chroma

_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # JFIF 1.02
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def recompressed(pictures: Tensor, qualities: list[int]) -> Tensor:
    """Return `pictures` (N, 3, H, W) in 0..255 after JPEG at `qualities`, one a picture, on their own device."""
    height, width = pictures.shape[2:]
    whole = pictures.clamp(0, 255).round()
    whole = functional.pad(whole, (0, -width % _MCU, 0, -height % _MCU), mode="replicate")
    planes = torch.einsum("ij,njhw->nihw", pictures.new_tensor(_TO_YCBCR), whole)
    tables = torch.stack([pictures.new_tensor(_tables(quality)) for quality in qualities])  # (N, 2, 8, 8)
    luma = _quantised(planes[:, :1].round() - 128, tables[:, :1])
    chroma = _quantised(functional.avg_pool2d(planes[:, 1:], 2).round(), tables[:, 1:])
    chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    decoded = torch.cat([luma + 128, chroma], dim=1)
    decoded = torch.einsum("ij,njhw->nihw", pictures.new_tensor(_TO_RGB), decoded)
    return decoded[:, :, :height, :width].round().clamp(0, 255)


def _quantised(planes: Tensor, tables: Tensor) -> Tensor:
    """Return planes (N, C, H, W) whose blocks were transformed, rounded to multiples of `tables` (N, 1, 8, 8), back."""
    count, channels, height, width = planes.shape
    blocks = planes.reshape(count, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    cosines = planes.new_tensor(_cosines())
    steps = tables[:, :, None, None]
    levels = (cosines @ blocks @ cosines.T / steps).round()
    back = (cosines.T @ (levels * steps) @ cosines).round()
    return back.transpose(3, 4).reshape(planes.shape)


@functools.cache
def _cosines() -> list[list[float]]:
    """Return the orthonormal discrete cosine transform of 8 samples (T.81, A.3.3)."""
    rows = [[math.cos((2 * n + 1) * k * math.pi / (2 * BLOCK)) for n in range(BLOCK)] for k in range(BLOCK)]
    return [[value * math.sqrt((1 if k == 0 else 2) / BLOCK) for value in row] for k, row in enumerate(rows)]


@functools.cache
def _tables(quality: int) -> list[list[list[float]]]:
    """Return libjpeg's quantisation tables of luma and chroma at `quality`, (2, 8, 8)."""
    buffer = io.BytesIO()
    Image.new("RGB", (_MCU, _MCU)).save(buffer, "JPEG", quality=quality)
    found: dict[int, list[int]] = Image.open(buffer).quantization  # type: ignore[attr-defined] # of JPEG's own class
    return [[[float(v) for v in found[k][BLOCK * r : BLOCK * (r + 1)]] for r in range(BLOCK)] for k in (0, 1)]
