"""How far a change shows, by a metric that no attack optimises."""

from __future__ import annotations

import io

from PIL import Image

from uncnn.plugins.api import Pixels

LARGEST_PX = 512  # a larger face is scaled down first: as large as people see it on a screen


def ssimulacra2(original: Pixels, changed: Pixels) -> float:
    """Return SSIMULACRA2 of two pictures (H, W, 3) uint8: 100 identical, 90 not seen, 70 good, 50 seen.

    Sneyers, "SSIMULACRA 2: Structural SIMilarity Unveiling Local And Compression Related Artifacts", 2022.
    """
    from ssimulacra2 import compute_ssimulacra2

    return float(compute_ssimulacra2(_png(original), _png(changed)))


def _png(pixels: Pixels) -> io.BytesIO:
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST_PX, LARGEST_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=0)
    buffer.seek(0)
    return buffer
