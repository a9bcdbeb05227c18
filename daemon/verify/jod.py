"""How far a change shows on displays, in figures and in words.

The unit is the just-objectionable difference (JOD): 10 is identical, and of two versions that are 1 apart 75 of 100
people prefer the better one, as in 0.67 standard deviations of what they see (Perez-Ortiz, Mikhailiuk, Zerman, Hulusic,
Valenzise, Mantiuk, "From pairwise comparisons and rating to a unified quality scale", IEEE Transactions on Image
Processing 29, 2020). Half of them would do so of two that are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NOT_VISIBLE: Final = 9.9  # and more: 53 of 100 prefer the original at most; JPEG 75 is 9.91 on a desktop
HARDLY: Final = 9.7  # 58 of 100 at most
SLIGHTLY: Final = 9.4  # 66 of 100 at most; JPEG 50 is 9.56 on a desktop
VISIBLE: Final = 9.0  # 75 of 100 at most

_ADVERBS: Final = ((NOT_VISIBLE, "not"), (HARDLY, "hardly"), (SLIGHTLY, "slightly"), (VISIBLE, ""))
_PLAINLY: Final = "plainly"


@dataclass(frozen=True, slots=True)
class Jod:
    """How far the change of a photo shows, in JOD below 10."""

    phone: float  # the whole photo, fitted to the display
    desktop: float
    zoom: float | None  # the face that shows most, twice as large as on a desktop; None: no face is large enough


@dataclass(frozen=True, slots=True)
class Visibility:
    """How far the square of a face differs from the original, at its own resolution."""

    ssimulacra2: float | None  # 100 identical, 90 not seen, 70 good, 50 seen. None: the package is not installed
    butteraugli: float | None  # the largest difference; about 1 is just seen. None: the program is not installed
    butteraugli_3norm: float | None
    psnr: float | None  # dB over RGB; None: identical
    ssim: float  # 1 identical
    mean_255: float  # mean absolute change, grey levels
    p99_255: float  # its 99th percentile


def change_words(jod: Jod) -> str:
    """Return how far a change shows: `not visible on a phone, slightly on a desktop`."""
    phone, desktop = seen_words(jod.phone), seen_words(jod.desktop)
    if phone == desktop:
        return f"{phone} on a phone and a desktop"
    return f"{phone} on a phone, {_adverb(jod.desktop) or desktop} on a desktop"


def jod_words(jod: Jod) -> str:
    """Return the same in figures: `JOD 9.98 on a phone, 9.53 on a desktop, 9.20 zoomed in, of 10`."""
    zoom = "" if jod.zoom is None else f", {jod.zoom:.2f} zoomed in"
    return f"JOD {jod.phone:.2f} on a phone, {jod.desktop:.2f} on a desktop{zoom}, of 10"


def seen_words(value: float) -> str:
    """Return how far what has so many JOD shows: `slightly visible`."""
    return f"{_adverb(value)} visible".strip()


def _adverb(value: float) -> str:
    return next((word for least, word in _ADVERBS if value >= least), _PLAINLY)
