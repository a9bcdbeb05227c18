"""What of a patch is plain and no face: a wall, a sky, smooth hair. People see any change there, recognisers need none.

A watershed by flooding (Beucher, Meyer, "The morphological approach to segmentation: the watershed transformation",
1993): from the middle of the face and from beyond its oval two floods spread over what is plain, then over what is ever
steeper, and neither enters what the other has. They stop at what is too steep to be plain: that is the face's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.geometry import Floats
from uncnn.plugins.perception.pixel_bounds import oval
from uncnn.plugins.resampling import gaussian

MIDDLE = 0.6  # half axes of the oval: all within is face
BEYOND = 1.3  # half axes: backdrop begins outside
LOW_112 = 95.0  # nothing below is backdrop, ArcFace-112 pixels: the neck is plain too, and leads to the face
UNLIKE_255 = 45.0  # from the mean of the middle, in the channel that differs most: backdrop does not begin on skin
SLOPE_SIGMA_PX = 1.5  # of the Gaussian under which slopes are taken, patch pixels
SLOPES_255 = (1.0, 1.5, 2.0, 2.5)  # grey levels a pixel that count as plain, one after another; less on dark faces
LIT_255 = 110.0  # the mean of a face's middle from which on it is not dark
GROWN_PX = 3  # back to the outline, which the Gaussian has made wider
FEATHER_SIGMA_PX = 2.0
COARSE_PX = 2  # patch pixels to a pixel of the floods: faster, and no leaks through gaps of one pixel

Mask = npt.NDArray[np.bool_]

_FAINT = 1e-3  # of a face that is black


def backdrop(patches: Tensor, inside: Tensor, to_template: Floats) -> Tensor:
    """Return how far each pixel is plain backdrop, (N, 1, P, P) in 0..1, with a smooth edge.

    `patches` is (N, 3, P, P) in 0..255, `inside` (N, 1, P, P) whether the photo has the pixel; `to_template` (N, 2, 3)
    maps patch pixels into the ArcFace-112 frame.
    """
    side = patches.shape[3]
    _, downs, distances = zip(*(oval(matrix, side) for matrix in to_template), strict=True)
    down, distance = (torch.from_numpy(np.stack(each)).to(patches)[:, None] for each in (downs, distances))
    may = _everywhere(inside & (down < LOW_112))
    middle = ~_everywhere(distance >= MIDDLE)
    beyond = _everywhere(distance > BEYOND)
    coarse = functional.avg_pool2d(patches, COARSE_PX)
    colour = (coarse * middle).sum(dim=(2, 3), keepdim=True) / middle.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    unlike = (coarse - colour).abs().amax(dim=1, keepdim=True) > UNLIKE_255
    light = (colour.mean(dim=1, keepdim=True) / LIT_255).clamp(_FAINT, 1)
    steepness = functional.max_pool2d(_steepness(patches), COARSE_PX) / light
    found = _flooded(steepness, may, middle, beyond & unlike).to(patches)
    grown = _widest(functional.interpolate(found, (side, side)), GROWN_PX)
    blur = gaussian(side, patches.new_tensor([FEATHER_SIGMA_PX]))[0]
    return (blur @ grown @ blur.T).clamp(0, 1)


def _flooded(steepness: Tensor, may: Tensor, face: Tensor, seeds: Tensor) -> Tensor:
    """Return what the flood from `seeds` has in the end, (N, 1, H, W) bool, beside that from `face`."""
    slopes, able, own, outer = (each.cpu().numpy() for each in (steepness, may, face, seeds))
    other = np.zeros_like(own)
    for level in SLOPES_255:
        free = able & (slopes < level)
        other = other | (outer & free & ~own)
        had, has = -1, 0
        while has != had:
            own = own | (_spread(own) & free & ~other)
            other = other | (_spread(other) & free & ~own)
            had, has = has, int(np.count_nonzero(own) + np.count_nonzero(other))
    return torch.from_numpy(other)


def _steepness(patches: Tensor) -> Tensor:
    """Return the slope of the channel that is steepest, (N, 1, P, P) grey levels a pixel."""
    blur = gaussian(patches.shape[3], patches.new_tensor([SLOPE_SIGMA_PX]))[0]
    down, across = torch.gradient(blur @ patches @ blur.T, dim=(2, 3))
    return torch.hypot(down, across).amax(dim=1, keepdim=True)


def _everywhere(holds: Tensor) -> Tensor:
    """Return whether it holds in all pixels of a coarse one, (N, 1, H, W) bool."""
    return functional.max_pool2d((~holds).float(), COARSE_PX) == 0


def _spread(holds: Mask) -> Mask:
    """Return where it holds or beside it, in all eight directions: a hundred steps of it take milliseconds in numpy."""
    wider = holds.copy()
    wider[..., 1:] |= holds[..., :-1]
    wider[..., :-1] |= holds[..., 1:]
    result = wider.copy()
    result[..., 1:, :] |= wider[..., :-1, :]
    result[..., :-1, :] |= wider[..., 1:, :]
    return result


def _widest(values: Tensor, reach: int) -> Tensor:
    """Return the largest value around each pixel."""
    return functional.max_pool2d(values, 2 * reach + 1, stride=1, padding=reach)
