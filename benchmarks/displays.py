"""How far JPEG shows, the yardstick of the words for JOD, and what it costs to tell: `python benchmarks/displays.py`.

JPEG of quality 90, 75 and 50 of the photos of ../shared/data/people. Seconds are those of one processor, for a photo of
12 megapixels of noise in which a square of 0.5 megapixels changed, one that changed everywhere, and a small one.
"""

from __future__ import annotations

import os
import tracemalloc
from io import BytesIO

import common
import numpy as np
from PIL import Image, ImageOps

from uncnn.daemon.verify.displays import on_displays
from uncnn.daemon.verify.jod import Jod, change_words
from uncnn.plugins.api import Pixels

QUALITIES = (90, 75, 50)
PART = np.s_[400:1100, 1400:2100]


def main() -> None:
    """Print two tables."""
    options = common.options_of(__doc__).parse_args()
    files = sorted((options.data / "people").glob("*/*.jpg"))[: 2 if options.smoke else None]
    print(f"{len(files)} photos\n| JPEG | phone, mean (worst) | desktop | the mean in words |\n|---|---|---|---|")
    for quality in QUALITIES if files else ():
        shown = [_as_jpeg(ImageOps.exif_transpose(Image.open(file)).convert("RGB"), quality) for file in files]
        phone, desktop = ([getattr(jod, name) for jod in shown] for name in ("phone", "desktop"))
        words = change_words(Jod(float(np.mean(phone)), float(np.mean(desktop)), None))
        figures = " | ".join(f"{np.mean(each):.2f} ({min(each):.2f})" for each in (phone, desktop))
        print(f"| {quality} | {figures} | {words} |")
    print("\n| photo | seconds | MB at most |\n|---|---|---|")
    large = _noise(600, 800) if options.smoke else _noise(3024, 4032)
    part = large.copy()
    part[PART] ^= 7
    small = _noise(250, 250)
    for name, pair in (("0.5 of 12 MP", (large, part)), ("12 MP", (large, large ^ 7)), ("250 px", (small, small ^ 7))):
        print(f"| {name} | {_seconds(*pair):.2f} | {_megabytes(*pair):.0f} |")


def _as_jpeg(photo: Image.Image, quality: int) -> Jod:
    buffer = BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    jod, _ = on_displays(np.asarray(photo), np.asarray(Image.open(buffer).convert("RGB")))
    return jod


def _noise(height: int, width: int) -> Pixels:
    coarse = np.random.default_rng(0).integers(0, 256, (height // 10, width // 10, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _seconds(original: Pixels, changed: Pixels) -> float:
    on_displays(original, changed)
    before = os.times()
    on_displays(original, changed)
    after = os.times()
    return after.user + after.system - before.user - before.system


def _megabytes(original: Pixels, changed: Pixels) -> float:
    """Return what numpy held at most; Pillow's copy of the photo is not in it."""
    tracemalloc.start()
    on_displays(original, changed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


if __name__ == "__main__":
    main()
