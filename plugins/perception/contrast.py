"""What people see of a change: how much contrast each band of spatial frequencies may have before it shows.

The thresholds are those of ColorVideoVDP (Mantiuk, Hanji, Ashraf, Asano, Chapiro, ACM TOG 43(4), 2024): the
sensitivity to luminance, red-green and yellow-violet contrast at each frequency and luminance (castleCSF: Ashraf,
Mantiuk, Chapiro, Wuerger, Journal of Vision 24(4), 2024), raised where the photo's own contrast masks the change. Of
all displays the strictest counts.

They know how much is seen and not what it means: a faint new line on smooth skin is a wrinkle. So luminance has a
second bound, the contrast that the photo itself has in that band there: what is in the photo may be stronger or
weaker, and where there is nothing, nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins.geometry import Floats
from uncnn.plugins.perception import pyramid
from uncnn.plugins.perception.displays import DESKTOP, DISPLAYS, Display
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
from uncnn.plugins.resampling import gaussian

LUMA_SHARES = (1.3, 1.2, 0.9, 0.4, 0.1)  # of the bands, the finest first: coarse light is the shape of a face
COLOUR_SHARES = (1.0, 1.0, 0.6, 0.3, 0.1)  # and coarse colour its complexion
LEVELS = len(LUMA_SHARES)  # what is coarser, a quarter of the face and more, stays as it is

# Of luminance, red-green and yellow-violet, what a face has by how large a desktop shows it: pixels to an ArcFace-112
# pixel, of faces of about 50, 110, 190 and 310 px. Lines of light age a face of middle size, where faint red and green
# ones do not; on a tiny face each pixel is a feature, and recognisers are easily taken off it.
SHOWN = (0.45, 1.0, 1.7, 2.8)
SHARES = ((0.47, 1.25, 0.47), (0.85, 2.1, 0.85), (0.85, 2.1, 0.85), (1.0, 1.0, 1.0))

HOLDING = 3  # times; what is cut off in one band is not all its own, and a part comes back from those beside it

# times as much contrast: beyond that, on strong colours, the model forgives what people see
MOST_MASKED = (10.0, 3.0, 3.0)

COLOURFUL = 0.3  # saturation from which on a place may take all the colour that does not show
COLOURLESS = 0.15  # what teeth, whites of eyes and grey hair may take of that
GROUND_SIGMA_PX = 2.0
OWN_SIGMA_PX = 1.0  # over which the photo's own contrast is averaged, pixels of the band


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands of a batch of patches, and how much contrast each may have at each place.

    A change is given by `values`, a tensor a band, (N, 3, h, w) in -1..1: shares of the bounds, of luminance,
    red-green and yellow-violet.
    """

    bounds: tuple[Tensor, ...]  # (N, 3, h, w) contrast: of the light around
    ground: Tensor  # (N, 1, P, P) the light around, cd/m2
    slope: Tensor  # (N, 3, P, P) light of a grey level, cd/m2
    to_light: Tensor  # (N, 3, 3) of opponent colours to RGB
    to_opponent: Tensor  # (N, 3, 3)

    def pixels(self, values: Sequence[Tensor]) -> Tensor:
        """Return the change, (N, 3, P, P) grey levels, that has these `values`; differentiable."""
        parts = [value * bound for value, bound in zip(values, self.bounds, strict=True)]
        return self._pixels(pyramid.limited(parts))

    def held(self, pixels: Tensor) -> Tensor:
        """Return a change, (N, 3, P, P) grey levels, without what is more than each band may have."""
        for _ in range(HOLDING):
            bands, _ = pyramid.split(self._contrast(pixels), LEVELS)
            pixels = self._pixels([band.clamp(-bound, bound) for band, bound in zip(bands, self.bounds, strict=True)])
        return pixels

    def limits(self) -> Tensor:
        """Return how far any channel of a pixel goes at most, (N, 1, P, P) grey levels."""
        most = pyramid.merge(self.bounds) * self.ground
        return (_mixed(self.to_light.abs(), most) / self.slope).amax(dim=1, keepdim=True)

    def _pixels(self, bands: Sequence[Tensor]) -> Tensor:
        return _mixed(self.to_light, pyramid.merge(bands) * self.ground) / self.slope

    def _contrast(self, pixels: Tensor) -> Tensor:
        return _mixed(self.to_opponent, pixels * self.slope) / self.ground

    def bounded(self, share: Tensor) -> Bands:
        """Return the bands with `share` (N, 1, P, P), 0..1, of what they may have."""
        shares = pyramid.reduced(share, LEVELS)
        return replace(self, bounds=tuple(bound * part for bound, part in zip(self.bounds, shares, strict=True)))

    def part(self, faces: slice) -> Bands:
        """Return the bands of some of the faces."""
        bounds = tuple(bound[faces] for bound in self.bounds)
        return Bands(bounds, self.ground[faces], self.slope[faces], self.to_light[faces], self.to_opponent[faces])


def bands_of(
    patches: Tensor,
    may: Tensor,
    scales: Sequence[float],
    units: Sequence[float],
    size: tuple[int, int],
    colour: float,
    contrast: float,
) -> Bands:
    """Return the bands of `patches` (N, 3, P, P) in 0..255, with as much contrast as is at the threshold of sight.

    `may` (N, 1, P, P) is what of that each place may have, `scales` how many pixels of the photo a patch pixel is,
    `units` how many patch pixels an ArcFace-112 pixel, `size` the photo's height and width. `colour` is what both
    colours may have of their threshold; 0: a grey change. `contrast`: how much luminance contrast a band may have at
    most, that many times its own; 0: any.
    """
    least = [_thresholds(patches, scales, size, display) for display in DISPLAYS]
    wear = may * _colourfulness(patches) * colour
    masks = zip(pyramid.reduced(may, LEVELS), pyramid.reduced(wear, LEVELS), strict=True)
    *finer, rest = [torch.cat([luma, chroma, chroma], dim=1) for luma, chroma in masks]
    bounds = [torch.stack(each).amin(dim=0) * mask for each, mask in zip(zip(*least, strict=True), finer, strict=True)]
    shares = patches.new_tensor([LUMA_SHARES, COLOUR_SHARES, COLOUR_SHARES]).T.view(LEVELS, 3, 1, 1)
    shown = np.array(units) * scales * DESKTOP.scale(*size)
    by_size = patches.new_tensor(_shares(shown))[:, :, None, None]
    bounds = [bound * share * by_size for bound, share in zip(bounds, shares, strict=True)]
    if contrast:
        bounds = [_within(bound, contrast * own) for bound, own in zip(bounds, _own(patches), strict=True)]
    light, slope = DESKTOP.light(patches), DESKTOP.slope(patches)
    to_opponent = torch.tensor(OPPONENT, device=patches.device)
    to_light = torch.linalg.inv(to_opponent)
    if not colour:
        slope = slope.mean(dim=1, keepdim=True).expand_as(slope)
        to_light[:, 0] = 1 / to_opponent[0].sum()
        to_opponent = torch.linalg.inv(to_light)
    around = _mixed(to_opponent[None], light)[:, :1]
    ground = torch.minimum(
        around, _blurred(around, GROUND_SIGMA_PX)
    )  # an iris is dark beside skin, and keeps its colour
    count = len(patches)
    return Bands(
        (*bounds, torch.zeros_like(rest)), ground, slope, to_light.expand(count, 3, 3), to_opponent.expand(count, 3, 3)
    )


def _own(patches: Tensor) -> list[Tensor]:
    """Return the luminance contrast of each band, (N, 1, h, w), that `patches` have around each place."""
    light = _mixed(patches.new_tensor(OPPONENT)[None], DESKTOP.light(patches))[:, :1]
    bands, grounds = pyramid.split(light, LEVELS)
    pairs = zip(bands, grounds, strict=False)
    return [_blurred((band / ground.clamp(min=0.01)).abs(), OWN_SIGMA_PX) for band, ground in pairs]


def _within(bound: Tensor, luma: Tensor) -> Tensor:
    """Return `bound` (N, 3, h, w) with no more than `luma` (N, 1, h, w) of luminance."""
    return torch.cat([torch.minimum(bound[:, :1], luma), bound[:, 1:]], dim=1)


def _shares(shown: Floats) -> Floats:
    """Return what each channel has, (N, 3), of faces shown at so many desktop pixels to an ArcFace-112 pixel, (N,)."""
    return np.stack([np.interp(shown, SHOWN, channel) for channel in zip(*SHARES, strict=True)], axis=1)


def together(batches: Sequence[Bands]) -> Bands:
    """Return the bands of several batches as one."""
    bounds = tuple(torch.cat(each) for each in zip(*(batch.bounds for batch in batches), strict=True))
    rest = (
        torch.cat([getattr(batch, name) for batch in batches])
        for name in ("ground", "slope", "to_light", "to_opponent")
    )
    return Bands(bounds, *rest)


def _thresholds(patches: Tensor, scales: Sequence[float], size: tuple[int, int], display: Display) -> list[Tensor]:
    """Return at which contrast each band, but what is left in the end, is seen on `display`: (N, 3, h, w)."""
    opponent = torch.tensor(OPPONENT, device=patches.device)[None]
    bands, grounds = pyramid.split(_mixed(opponent, display.light(patches)), LEVELS)
    gains, most = (patches.new_tensor(each).view(3, 1, 1) for each in (GAINS, MOST_MASKED))
    degree = [display.pixels_per_degree / (display.scale(*size) * scale) for scale in scales]  # patch pixels
    found = []
    for level, (band, ground) in enumerate(zip(bands, grounds, strict=False)):
        light = ground[:, :1].clamp(min=0.01)
        cycles = FINEST if level == 0 else NEXT * 2.0 ** (1 - level)
        rows = [_sensitivity(one[0], cycles * each) for one, each in zip(light, degree, strict=True)]
        seen = torch.stack(rows) * gains
        twice = 1 if level == 0 else 2  # as ColorVideoVDP weighs its pyramid
        masked = (1 + _masking((band / light * seen * twice).abs())) ** (1 / POWER)
        found.append(torch.minimum(masked, most) / (seen * twice))
    return found


def _masking(contrast: Tensor) -> Tensor:
    """Return how much the photo's own contrast, (N, 3, H, W) in thresholds, hides in each channel."""
    powers = contrast.new_tensor(MASK_POWERS).view(3, 1, 1)
    around = (_blurred(contrast, MASK_SIGMA_PX) * MASK_GAIN).clamp(min=1e-5) ** powers
    return torch.einsum("cd,nchw->ndhw", 2 ** contrast.new_tensor(CROSS_MASKING).T, around)


def _sensitivity(light: Tensor, cycles: float) -> Tensor:
    """Return the sensitivity, (3, H, W), to contrast of `cycles` a degree on `light` (H, W) in cd/m2."""
    luminance, curves = sensitivities(cycles)
    where = np.log10(light.cpu().numpy())
    return torch.from_numpy(10 ** np.stack([np.interp(where, luminance, curve) for curve in curves])).to(light)


def _colourfulness(patches: Tensor) -> Tensor:
    """Return how much of a colour each place can take, (N, 1, P, P): little where the photo has none."""
    largest, least = patches.amax(dim=1, keepdim=True), patches.amin(dim=1, keepdim=True)
    saturation = _blurred((largest - least) / largest.clamp(min=30.0), GROUND_SIGMA_PX)
    return (saturation / COLOURFUL).clamp(COLOURLESS, 1.0)


def _mixed(matrices: Tensor, pixels: Tensor) -> Tensor:
    return torch.einsum("nij,njhw->nihw", matrices.expand(len(pixels), 3, 3), pixels)


def _blurred(picture: Tensor, sigma: float) -> Tensor:
    blur = gaussian(picture.shape[3], picture.new_tensor([sigma]))[0]
    return blur @ picture @ blur.T
