"""Where photos are looked at: how many of a display's pixels make a degree of sight, and how bright they are.

The displays are those of ColorVideoVDP (`standard_phone`, `standard_fhd`; Mantiuk, Hanji, Ashraf, Asano, Chapiro,
"ColorVideoVDP: a visual difference predictor for image, video and display distortions", ACM TOG 43(4), 2024). A photo
is made smaller until it fits, and never larger; who looks closely sees it twice as large as it is on a desktop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Display:
    """A screen, and how a photo is fitted to it."""

    name: str
    peak: float  # luminance of white, cd/m2
    black: float  # of black, with what the screen reflects of the room, cd/m2
    pixels_per_degree: float
    width: int
    height: int
    zoom: float = 1.0  # times as large as it fits

    def scale(self, height: int, width: int) -> float:
        """Return how many display pixels across one pixel of a photo of `height` by `width` is."""
        return min(1.0, self.width / width, self.height / height) * self.zoom

    def light(self, pixels: Tensor) -> Tensor:
        """Return the light, cd/m2, of sRGB `pixels` in 0..255."""
        return linear(pixels / 255) * (self.peak - self.black) + self.black

    def slope(self, pixels: Tensor) -> Tensor:
        """Return how much light one grey level more is, cd/m2, at sRGB `pixels` in 0..255."""
        return linear_slope(pixels / 255) * ((self.peak - self.black) / 255)


PHONE = Display("phone", 500.0, 0.448, 120.56, 1080, 2400)
DESKTOP = Display("desktop", 200.0, 0.598, 37.84, 1920, 1080)
ZOOMED = Display("desktop, twice as large", 200.0, 0.598, 37.84, 1920, 1080, 2.0)
DISPLAYS = (PHONE, DESKTOP, ZOOMED)

DARKEST_SLOPE = 0.15  # near black a grey level is almost no light: changes would be boundless


def linear(values: Tensor) -> Tensor:
    """Return linear light in 0..1 of sRGB `values` in 0..1 (IEC 61966-2-1)."""
    return ((values + 0.055) / 1.055).clamp(min=0) ** 2.4 * (values > 0.04045) + values / 12.92 * (values <= 0.04045)


def linear_slope(values: Tensor) -> Tensor:
    """Return the slope of `linear` at sRGB `values` in 0..1, and no less than `DARKEST_SLOPE`."""
    return (2.4 / 1.055 * ((values + 0.055) / 1.055).clamp(min=0) ** 1.4).clamp(min=DARKEST_SLOPE)
