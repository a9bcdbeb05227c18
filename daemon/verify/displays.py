"""How far a change shows on a phone, on a desktop screen and zoomed in, by ColorVideoVDP (the package `cvvdp`).

Mantiuk, Hanji, Ashraf, Asano, Chapiro, "ColorVideoVDP: A visual difference predictor for image, video and display
distortions", ACM Transactions on Graphics 2024: contrast sensitivity, masking and colour at a display of known size,
brightness and distance. Its unit is the just-objectionable difference (JOD) below 10: 10 is identical, and of two
versions that are 1 JOD apart 75 % of people prefer the better one. It comes with `uncnn[evaluate]`.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from uncnn.daemon.verify.visibility import Square, check_sizes, face_square
from uncnn.plugins.api import Face, Pixels, UncnnError
from uncnn.plugins.displays import DESKTOP, PHONE, ZOOMED, Display

REMEDY: Final = 'pip install "uncnn[evaluate]"'
_LEAST_PX: Final = 2  # of a side: the metric halves a picture once at least


class MetricMissing(UncnnError):
    """ColorVideoVDP is not installed."""


@dataclass(frozen=True, slots=True)
class Jod:
    """How far the change of a photo shows, in JOD: 10 identical, 9.9 hardly seen, 9 seen by most who compare."""

    phone: float
    desktop: float
    zoom: float | None  # of the face that shows most; None: no face is large enough


JOD = TypeAdapter(Jod)
"""JOD as JSON between the processes."""


def installed() -> bool:
    """Return whether ColorVideoVDP can be asked. Nothing is imported."""
    return find_spec("pycvvdp") is not None


def on_displays(original: Pixels, changed: Pixels, faces: Sequence[Face] = ()) -> Jod:
    """Return how far `changed` shows against `original`, whole photos (H, W, 3) uint8 sRGB, on each display.

    Phone and desktop: the photo scaled down until the display holds it, across the width of a phone; a smaller photo
    is shown as it is. Zoom: the square of each face, at twice the desktop's scale, as much of it as the screen holds.
    At most 2.6 megapixels are compared at a time: 1.5 GB.

    Raises:
        MetricMissing: ColorVideoVDP is not installed. UncnnError: the photos have different sizes.
    """
    check_sizes(original, changed, "give the cloaked copy of that original")
    if not installed():
        raise MetricMissing(f"how far a change shows on displays is told by ColorVideoVDP, not installed: {REMEDY}")
    phone, desktop = (
        _jod(display, *(fitted(pixels, display) for pixels in (original, changed))) for display in (PHONE, DESKTOP)
    )
    squares = [square for face in faces if (square := face_square(face, original.shape)) is not None]
    closer = [_jod(ZOOMED, *(zoomed(pixels, square) for pixels in (original, changed))) for square in squares]
    return Jod(phone, desktop, min(closer, default=None))


def fitted(pixels: Pixels, display: Display) -> Pixels:
    """Return a photo, (H, W, 3), scaled down to fit a display; a smaller one as it is."""
    return _scaled(pixels, display.scale(*pixels.shape[:2]))


def zoomed(pixels: Pixels, square: Square) -> Pixels:
    """Return the `square` of a photo, (H, W, 3), at twice the scale of the desktop: its middle, as the screen does."""
    shown = _scaled(np.ascontiguousarray(pixels[square]), ZOOMED.scale(*pixels.shape[:2]))
    most = ZOOMED.height
    top, left = (max(side - most, 0) // 2 for side in shown.shape[:2])
    return shown[top : top + most, left : left + most]


def _scaled(pixels: Pixels, scale: float) -> Pixels:
    if scale == 1:
        return pixels
    sides = tuple(max(round(side * scale), 1) for side in (pixels.shape[1], pixels.shape[0]))
    return np.asarray(Image.fromarray(pixels).resize(sides, Image.Resampling.LANCZOS))


def _jod(display: Display, original: Pixels, changed: Pixels) -> float:
    """Return the JOD of two pictures of one size as `display` shows them, pixel by pixel; a line is doubled."""
    import torch

    repeats = [-(-_LEAST_PX // side) for side in original.shape[:2]]
    pair = [np.tile(pixels, (*repeats, 1)) for pixels in (changed, original)]
    with torch.inference_mode():
        found, _ = _metric(display.model).predict(*pair, dim_order="HWC")
    return float(found)


@cache
def _metric(model: str) -> Any:
    """Return ColorVideoVDP for a display of its own, on the CPU: it is the same figure everywhere."""
    import torch

    with _quietly():
        from pycvvdp import cvvdp
    return cvvdp(display_name=model, device=torch.device("cpu"), quiet=True)


@contextmanager
def _quietly() -> Iterator[None]:
    """Let it be imported without matplotlib, which looks for fonts, and without warnings about what is not used."""
    drawing = sys.modules.get("matplotlib.pyplot")
    sys.modules["matplotlib.pyplot"] = None  # type: ignore[assignment] # so that its import fails
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        del sys.modules["matplotlib.pyplot"]
        if drawing is not None:
            sys.modules["matplotlib.pyplot"] = drawing
