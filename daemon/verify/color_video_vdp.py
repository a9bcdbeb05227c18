"""ColorVideoVDP of two still pictures: how far one shows as a change of the other on a display, in JOD. No torch.

Mantiuk, Hanji, Ashraf, Asano, Chapiro, "ColorVideoVDP: a visual difference predictor for image, video and display
distortions", ACM Transactions on Graphics 43(4), 2024, as the package `cvvdp` 0.5.7 computes it for images: contrast
in a pyramid of bands and three channels, in units of what is just seen; masking by what both pictures have in common;
p-norms over places, bands and channels; a curve to JOD. tests/daemon/verify/test_color_video_vdp.py compares the two.
Light that is more or less by the same share everywhere is no difference to it.

Only that part of each band is looked at where the pictures differ: all else adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from uncnn.daemon.verify.halving import SPREAD, Picture, enlarged, halved
from uncnn.daemon.verify.windows import Size, Window, at_half_size, differing, grown, strips, within
from uncnn.plugins.api import Pixels
from uncnn.plugins.perception.displays import Display
from uncnn.plugins.perception.vision import (
    CROSS_MASKING,
    FINEST,
    GAINS,
    MASK_GAIN,
    MASK_POWERS,
    MASK_SIGMA_PX,
    NEXT,
    OPPONENT,
    POWER,
    sensitivities,
)

IDENTICAL: Final = 10.0
"""JOD where nothing differs."""

LEAST_PX: Final = 2  # of a side: below, there is nothing to halve

_LEAST_CYCLES: Final = 0.2  # a degree: coarser bands are one
_COARSEST_CYCLES: Final = 0.1  # where that one is taken to be
_LEAST_LIGHT: Final = np.float32(0.01)  # cd/m2
_MOST_CONTRAST: Final = 1000.0
_MOST_DIFFERENCE: Final = 10**2.5642  # that one place of one band adds
_COARSEST_WEIGHTS: Final = (0.0036334, 1.66277, 4.11875)  # of the channels of the coarsest band
_STILL: Final = 0.57792  # of an image, by a video
_NEARLY_NONE: Final = 1e-5  # is added before each root: its slope at 0 would have no bound
_SLOPE: Final = 0.043957  # of JOD by difference, to the power of
_EXPONENT: Final = 0.93020
_LINEAR_BELOW: Final = 0.1

_REACH: Final = 2 * int(MASK_SIGMA_PX)  # pixels: half the width of the blur of what masks
_STRIP_PX: Final = 2**16  # are looked at at a time: they stay in the processor's cache
_STEPS: Final = 4096  # of the table of sensitivities


def jod(display: Display, original: Pixels, changed: Pixels) -> float:
    """Return the JOD of `changed` against `original`, (H, W, 3) uint8 sRGB of one size, shown pixel by pixel.

    10 is identical; of two that are 1 apart three in four people prefer the better one. Sides have `LEAST_PX` at least.
    """
    window = differing(original, changed)
    if window is None:
        return IDENTICAL
    bands = _bands(display, *original.shape[:2])
    pictures = [_seen(display, original)]
    pictures.append(pictures[0].copy())
    pictures[1][:, *window] = _seen(display, changed[window])
    parts = []
    for number, cycles in enumerate(bands[:-1]):
        smaller = [halved(picture) for picture in pictures]
        window = grown(window, SPREAD, pictures[0].shape[1:])
        parts.append(_band(pictures, smaller, window, cycles, 1.0 if number == 0 else 2.0))
        pictures = smaller
        window = at_half_size(window)
    parts.append(_coarsest(pictures, bands[-1]))
    return _pooled(np.array(parts))


def _bands(display: Display, height: int, width: int) -> list[float]:
    """Return the frequency of each band, cycles a degree, the finest first; the last one is what is left."""
    finest = [FINEST * display.pixels_per_degree]
    while finest[-1] > _LEAST_CYCLES:
        finest.append(NEXT * 2.0 ** (1 - len(finest)) * display.pixels_per_degree)
    halvings = min(len(finest), min(height, width).bit_length() - 2)
    return [*finest[:halvings], _COARSEST_CYCLES]


def _seen(display: Display, pixels: Pixels) -> Picture:
    """Return the light of `pixels`, (H, W, 3) uint8 sRGB, in opponent channels: (3, H, W) cd/m2."""
    values = np.arange(256) / 255
    linear = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
    light = (linear * (display.peak - display.black) + display.black).astype(np.float32)
    opponent: Picture = np.array(OPPONENT, np.float32) @ light[pixels].reshape(-1, 3).T
    return opponent.reshape(3, *pixels.shape[:2])


def _band(
    pictures: Sequence[Picture], smaller: Sequence[Picture], window: Window, cycles: float, weight: float
) -> npt.NDArray[np.float64]:
    """Return how far a band of both pictures, original and changed, differs in each channel, (3,)."""
    size: Size = pictures[0].shape[1:]
    sensitivity = _sensitivity(cycles) * np.array(GAINS, np.float32)[:, None] * np.float32(weight)
    total = np.zeros(3)
    for strip in strips(window, _STRIP_PX):
        around = grown(strip, _REACH, size)
        inside = within(strip, around)
        grounds = [enlarged(small, size, around) for small in smaller]
        lights = [np.maximum(ground[:1], _LEAST_LIGHT) for ground in grounds]
        seen = _looked_up(sensitivity, lights[0][0])
        one, other = (
            np.minimum((picture[:, *around] - ground) / light, _MOST_CONTRAST) * seen
            for picture, ground, light in zip(pictures, grounds, lights, strict=True)
        )
        masked = _masked(np.minimum(np.abs(one), np.abs(other)), inside, size)
        difference = np.abs(one[:, *inside] - other[:, *inside]) ** np.float32(POWER) / masked
        difference *= _MOST_DIFFERENCE / (_MOST_DIFFERENCE + difference)
        total += (difference * (difference + 2 * _NEARLY_NONE)).sum(axis=(1, 2), dtype=np.float64)
    return _root(total / (size[0] * size[1]), 2)


def _coarsest(pictures: Sequence[Picture], cycles: float) -> npt.NDArray[np.float64]:
    """Return how far what is left of both pictures, original and changed, differs in each channel, (3,)."""
    lights = [np.maximum(picture[0], _LEAST_LIGHT).mean() for picture in pictures]
    one, other = (np.minimum(p / light, _MOST_CONTRAST) for p, light in zip(pictures, lights, strict=True))
    difference = np.abs(one - other) * _looked_up(_sensitivity(cycles), lights[0].reshape(1, 1))
    mean = (difference * (difference + 2 * _NEARLY_NONE)).mean(axis=(1, 2), dtype=np.float64)
    return _root(mean, 2) * _COARSEST_WEIGHTS


def _pooled(parts: npt.NDArray[np.float64]) -> float:
    """Return the JOD of the differences of each band in each channel, (bands, 3)."""
    channels = _norm(parts, 4)
    difference: float = _norm(channels, 4).item() * _STILL
    if difference <= _LINEAR_BELOW:
        return IDENTICAL - _SLOPE * float(_LINEAR_BELOW ** (_EXPONENT - 1)) * difference
    return IDENTICAL - _SLOPE * float(difference**_EXPONENT)


def _masked(shared: Picture, inside: Window, size: Size) -> Picture:
    """Return by how much a difference is divided `inside` a part of a band of `size`: what both pictures share hides.

    `shared` is in thresholds, and reaches `_REACH` beyond, or to the border.
    """
    blurred = (_blurred(shared, inside) if min(size) > _REACH else shared[:, *inside]) * np.float32(MASK_GAIN)
    powers = [channel ** np.float32(power) for channel, power in zip(blurred, MASK_POWERS, strict=True)]
    weights = np.exp2(np.array(CROSS_MASKING, np.float32))
    made = np.ones_like(blurred)
    for number, row in enumerate(weights):
        for power, weight in zip(powers, row, strict=True):
            made[number] += power * weight
    return made


def _blurred(picture: Picture, inside: Window) -> Picture:
    """Return what is `inside` a picture under a Gaussian of `MASK_SIGMA_PX`; beyond a border it is reflected."""
    kernel = np.exp(-0.5 * (np.arange(_REACH + 1) / MASK_SIGMA_PX) ** 2)
    kernel /= 2 * kernel.sum() - kernel[0]
    missing = [
        (_REACH - part.start, _REACH - (side - part.stop)) for part, side in zip(inside, picture.shape[1:], strict=True)
    ]
    picture = np.pad(picture, ((0, 0), *missing), mode="reflect")
    for _ in range(2):
        picture = _blurred_rows(picture, kernel.astype(np.float32)).swapaxes(1, 2)
    return picture


def _blurred_rows(picture: Picture, kernel: npt.NDArray[np.float32]) -> Picture:
    count = picture.shape[1] - 2 * _REACH
    made: Picture = picture[:, _REACH : _REACH + count] * kernel[0]
    pair = np.empty_like(made)
    for offset, weight in enumerate(kernel[1:], 1):
        before, after = _REACH - offset, _REACH + offset
        np.add(picture[:, before : before + count], picture[:, after : after + count], out=pair)
        pair *= weight
        made += pair
    return made


@cache
def _sensitivity(cycles: float) -> npt.NDArray[np.float32]:
    """Return the sensitivity of each channel to so many cycles a degree, (3, `_STEPS`), by luminance on a log scale."""
    luminance, curves = sensitivities(cycles)
    steps = np.linspace(luminance[0], luminance[-1], _STEPS)
    return (10 ** np.array([np.interp(steps, luminance, curve) for curve in curves])).astype(np.float32)


@cache
def _logarithms() -> tuple[float, float]:
    """Return those of the darkest and the brightest light of the table."""
    luminance, _ = sensitivities(_COARSEST_CYCLES)
    return float(luminance[0]), float(luminance[-1])


def _looked_up(sensitivity: npt.NDArray[np.float32], light: npt.NDArray[np.float32]) -> Picture:
    """Return the sensitivity, (3, H, W), at each place on `light` (H, W) in cd/m2."""
    first, last = _logarithms()
    place = (np.log10(light) - first) * np.float32((_STEPS - 1) / (last - first))
    seen: Picture = sensitivity[:, np.clip(place + np.float32(0.5), 0, _STEPS - 1).astype(np.int32)]
    return seen


def _norm(values: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]:
    """Return the p-norm over the first axis."""
    return _root(((values + _NEARLY_NONE) ** exponent - _NEARLY_NONE**exponent).sum(axis=0), exponent)


def _root(values: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]:
    rooted: npt.NDArray[np.float64] = (values + _NEARLY_NONE) ** (1 / exponent) - _NEARLY_NONE ** (1 / exponent)
    return rooted
