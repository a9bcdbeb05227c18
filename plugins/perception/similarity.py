"""How alike two pictures look: SSIM, DSSIM and MS-SSIM, differentiable, for each picture of a batch on its own.

Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
Transactions on Image Processing 2004; Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
assessment", Asilomar 2003. The Gaussian window is a product of Toeplitz matrices (`plugins.resampling.gaussian`).
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.resampling import gaussian

WINDOW_SIGMA_PX = 1.5
EDGE_PX = 5  # half the papers' window of 11: nearer to the edge it would look beyond the picture
CONSTANTS = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)  # C1 and C2 of the 2004 paper
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # section 3.2 of the 2003 paper


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean SSIM, (N,), of pictures (N, C, P, P) in 0..255: 1 where they are equal."""
    luminance, structure = _terms(first, second)
    return (luminance * structure).mean(dim=(1, 2, 3))


def dssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the structural dissimilarity, (N,), of pictures (N, C, P, P) in 0..255: 0 where they are equal."""
    return (1 - ssim(first, second)) / 2


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return MS-SSIM, (N,), of pictures (N, C, P, P) in 0..255: 1 where they are equal.

    Five scales; of a picture under 176 pixels those that its side has room for, their weights made to sum to 1.
    """
    scales = [scale for scale in range(len(SCALE_WEIGHTS)) if first.shape[3] >> scale > 2 * EDGE_PX] or [0]
    weights = first.new_tensor([SCALE_WEIGHTS[scale] for scale in scales])
    factors = []
    for scale in scales:
        luminance, structure = _terms(first, second)
        term = luminance * structure if scale == scales[-1] else structure  # l at the coarsest scale alone
        factors.append(term.mean(dim=(2, 3)).clamp(min=1e-6))  # a negative one has no fractional power
        first, second = functional.avg_pool2d(first, 2), functional.avg_pool2d(second, 2)
    powers = (weights / weights.sum())[:, None, None]
    return (torch.stack(factors) ** powers).prod(dim=0).mean(dim=1)


def _terms(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return the luminance term and the contrast-structure term of SSIM at each pixel."""
    window = _window(first.shape[3], str(first.device))
    squares = [first * first, second * second, first * second]
    blurred = window @ torch.stack([first, second, *squares]) @ window.T
    mean, other, *powers = blurred[..., EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX].unbind()
    variance, other_variance = powers[0] - mean**2, powers[1] - other**2
    covariance = powers[2] - mean * other
    first_constant, second_constant = CONSTANTS
    luminance = (2 * mean * other + first_constant) / (mean**2 + other**2 + first_constant)
    structure = (2 * covariance + second_constant) / (variance + other_variance + second_constant)
    return luminance, structure


@functools.lru_cache(maxsize=16)
def _window(side: int, device: str) -> Tensor:
    return gaussian(side, torch.tensor([WINDOW_SIGMA_PX], device=device))[0]
