"""What ColorVideoVDP knows of sight: the constants and the sensitivities that bounds and metric share. No torch.

Mantiuk, Hanji, Ashraf, Asano, Chapiro, "ColorVideoVDP: a visual difference predictor for image, video and display
distortions", ACM TOG 43(4), 2024; its sensitivities are those of castleCSF (Ashraf, Mantiuk, Chapiro, Wuerger, Journal
of Vision 24(4), 2024). Contrast is seen in three channels: luminance, red-green and yellow-violet.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from uncnn.plugins.geometry import Floats

SENSITIVITY = Path(__file__).with_name("contrast_sensitivity.json")
CHANNELS = ("luma", "red-green", "yellow-violet")

FINEST, NEXT = 0.5, 0.1614  # cycles a pixel: where the finest band and the one after it are centred
GAINS = (1.0, 1.45, 1.0)  # of the channels
CORRECTION = 10 ** (-0.2797 / 20)  # of all sensitivities
MASK_GAIN, MASK_SIGMA_PX = 10**-0.7955, 3.0
MASK_POWERS = (1.3026, 2.8886, 3.6808)
POWER = 2.2644  # of a difference
CROSS_MASKING = (  # of a channel, the row, by each channel, as powers of two
    (-0.1895, 2.5656, 3.8118),
    (-5.9622, 0.3441, -1.0052),
    (-4.3183, -2.7196, -0.5193),
)

# RGB of sRGB to DKL with the white of D65: luminance, red against green, yellow against violet
OPPONENT = ((0.23320, 0.72883, 0.08900), (0.12762, -0.08707, -0.03678), (-0.21482, -0.62625, 0.85140))


def sensitivities(cycles: float) -> tuple[Floats, Floats]:
    """Return logarithms of luminances, (L,) cd/m2, and of the sensitivity at each to `cycles` a degree, (3, L)."""
    luminance, frequency, tables = _tables()
    at = np.log10(np.clip(cycles, 10 ** frequency[0], 10 ** frequency[-1]))
    rows = [[np.interp(at, frequency, row) for row in table] for table in tables]
    return luminance, np.array(rows) + np.log10(CORRECTION)


@functools.cache
def _tables() -> tuple[Floats, Floats, list[Floats]]:
    """Return logarithms of luminances (L,), of frequencies (F,), and of each channel's sensitivities (L, F)."""
    read = json.loads(SENSITIVITY.read_text())
    return np.log10(read["luminance"]), np.log10(read["frequency"]), [np.array(read[name]) for name in CHANNELS]
