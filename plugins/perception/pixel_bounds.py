"""What people see: how far each pixel may change.

Flat skin and colour show first, texture hides (masking): the bounds follow local contrast, chroma is tighter than luma.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins.api import Budget
from uncnn.plugins.geometry import REGION_112, Floats
from uncnn.plugins.resampling import gaussian

TEXTURE_SIGMA_PX = 2.0
FEATHER_112 = 8.0  # the width over which the bound falls to zero at the region's border, ArcFace-112 pixels

OVAL_112 = (56.0, 62.0, 44.0, 56.0)  # centre x, y and half axes of the face, ArcFace-112 pixels
OVAL_FEATHER = 1.2  # the bound is 0 from here on, in half axes: strokes in hair and on a wall buy nothing

# ITU-R BT.601, full range, as in JPEG.
_LUMA = (0.299, 0.587, 0.114)
_CB, _CR = 1.772, 1.402

_FAINT_255 = 1e-3  # a change that is none: the square root has no slope at 0


def luma_of(pixels: Tensor) -> Tensor:
    """Return the luma, (N, 1, H, W), of RGB `pixels` (N, 3, H, W)."""
    weights = pixels.new_tensor(_LUMA).view(1, 3, 1, 1)
    return (pixels * weights).sum(dim=1, keepdim=True)


def bound_chroma_and_luma(pixels: Tensor, luma_limits: Tensor, chroma_limits: Tensor) -> Tensor:
    """Return `pixels` (N, 3, H, W) with the luma and both chroma channels of the change inside their bounds."""
    luma = luma_of(pixels)
    blue = (pixels[:, 2:3] - luma) / _CB
    red = (pixels[:, 0:1] - luma) / _CR
    luma = torch.minimum(torch.maximum(luma, -luma_limits), luma_limits)
    blue = torch.minimum(torch.maximum(blue, -chroma_limits), chroma_limits)
    red = torch.minimum(torch.maximum(red, -chroma_limits), chroma_limits)
    green = luma - (_LUMA[0] * _CR * red + _LUMA[2] * _CB * blue) / _LUMA[1]
    return torch.cat([luma + _CR * red, green, luma + _CB * blue], dim=1)


def bound_rms(pixels: Tensor, limits: Tensor) -> Tensor:
    """Return `pixels` (N, 3, H, W), less where the root mean square of their luma around a pixel is above its limit.

    The limits are (N, 1, H, W) grey levels. The factor differs from pixel to pixel, so that a tenth may be left over.
    """
    blur = gaussian(pixels.shape[3], pixels.new_tensor([TEXTURE_SIGMA_PX]))[0]
    local = (blur @ luma_of(pixels) ** 2 @ blur.T).clamp(min=_FAINT_255**2).sqrt()
    return pixels * (limits / local).clamp(max=1)


def rms_limits(luma_limits: Tensor, budget: Budget) -> Tensor | None:
    """Return how large the local root mean square may be, (N, 1, P, P) grey levels; None: as the bounds let it.

    It grows with the square root of the bound: the threshold of what is seen grows with the contrast that masks it by a
    power of about a half to two thirds (Legge, Foley, "Contrast masking in human vision", JOSA 70(12), 1980).
    """
    return budget.rms * luma_limits.sqrt() if budget.rms else None


def pixel_limits(luma: Tensor, budget: Budget) -> Tensor:
    """Return the luma bound of each pixel, (N, 1, P, P) grey levels: more where the photo varies by itself."""
    blur = gaussian(luma.shape[3], luma.new_tensor([TEXTURE_SIGMA_PX]))[0]
    mean = blur @ luma @ blur.T
    deviation = (blur @ (luma - mean) ** 2 @ blur.T).clamp(min=0).sqrt()
    return (budget.epsilon_255 + budget.texture * deviation).clamp(max=budget.cap_255)


def window(to_template: Floats, side: int, device: str) -> Tensor:
    """Return (1, 1, side, side): 1 on the face, falling smoothly to 0 in the hair and background around it.

    `to_template` (2, 3) maps patch pixels into the ArcFace-112 frame. Recognisers look a little beyond the face too,
    but a change of a plain background is what people see first.
    """
    across, down, distance = oval(to_template, side)
    x0, y0, x1, y1 = REGION_112
    inside = np.minimum(np.minimum(across - x0, x1 - across), np.minimum(down - y0, y1 - down)) / FEATHER_112
    from_border = np.minimum(np.arange(side), np.arange(side)[::-1]) - 1  # two pixels of 0: enlarging reaches so far
    inside = np.minimum(inside, np.minimum(from_border, from_border[:, None]))
    depth = np.minimum(inside, (OVAL_FEATHER - distance) / (OVAL_FEATHER - 1))
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.clip(depth, 0, 1))
    return torch.from_numpy(ramp.astype(np.float32)).view(1, 1, side, side).to(device)


def oval(to_template: Floats, side: int) -> tuple[Floats, Floats, Floats]:
    """Return each patch pixel's x and y in the ArcFace-112 frame and its distance from the oval's centre, in half axes.

    `to_template` is (2, 3); each result is (side, side).
    """
    ys, xs = np.mgrid[0:side, 0:side]
    across = to_template[0, 0] * xs + to_template[0, 1] * ys + to_template[0, 2]
    down = to_template[1, 0] * xs + to_template[1, 1] * ys + to_template[1, 2]
    distance = np.hypot((across - OVAL_112[0]) / OVAL_112[2], (down - OVAL_112[1]) / OVAL_112[3])
    return across, down, distance
