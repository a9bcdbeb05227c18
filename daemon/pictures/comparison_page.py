"""A comparison as one HTML page: both versions in one place, in turns. It fetches nothing and runs nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Final

from PIL import Image

from uncnn.daemon.pictures.compared import ComparedRegion
from uncnn.daemon.pictures.contact_sheet import AMPLIFIED, amplified, png
from uncnn.plugins.api import Pixels

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 90rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin: 2.5rem 0 .3rem } p { max-width: 60rem; margin: .3rem 0 }
.row { display: flex; flex-wrap: wrap; gap: 1rem } figure { margin: 0; flex: 1 1 20rem; max-width: 40rem }
figcaption { color: #555; font-size: .9rem } .turns { position: relative }
.picture { background-size: 100% 100%; aspect-ratio: var(--shape) }
.original { background-image: var(--original) } .copy { background-image: var(--copy) }
.change { background-image: var(--change) }
.turns .copy { position: absolute; inset: 0; animation: turn 1.6s steps(1) infinite }
@keyframes turn { 0% { opacity: 0 } 50% { opacity: 1 } }
.turns:hover .copy { animation: none; opacity: 1 }
@media (prefers-reduced-motion: reduce) { .turns .copy { animation: none; opacity: 0 } }
"""

_MEANING: Final = (
    "The first picture shows both versions in turns, the original first: what moves is what differs. Hold the pointer "
    "over it to see the copy alone. JOD, by ColorVideoVDP, is 10 where nothing differs; of two versions that are 1 "
    "apart three in four people prefer the better one. The photo is fitted to a phone and to a desktop screen, a face "
    "is twice as large as there. SSIMULACRA2 is 100 where nothing differs, 90 where it is not seen; Butteraugli's "
    "largest difference is just seen from 1 on. Both are strict with fine colour and blind to much that is smooth."
)


def page(regions: Sequence[ComparedRegion], change: str) -> str:
    """Return the page: how far the change shows, in words, the whole photo, then each face."""
    parts = [f"<h1>Two versions of a photo</h1><p>Change: {escape(change)}.</p><p>{escape(_MEANING)}</p>"]
    parts += [_part(region) for region in regions]
    head = f'<meta charset="utf-8"><title>uncnn: comparison</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _part(region: ComparedRegion) -> str:
    seen = region.visibility
    figures = [f"JOD {value:.2f} ({display})" for display, value in region.jod.items()]
    if seen.ssimulacra2 is not None:
        figures.append(f"SSIMULACRA2 {seen.ssimulacra2:.1f}")
    if seen.butteraugli is not None:
        figures.append(f"Butteraugli {seen.butteraugli:.2f}")
    figures += ["identical" if seen.psnr is None else f"PSNR {seen.psnr:.1f} dB", f"SSIM {seen.ssim:.3f}"]
    figures.append(f"change {seen.mean_255:.1f} grey levels on average, {seen.p99_255:.0f} at the 99th percentile")
    height, width = region.original.shape[:2]
    change = amplified(region.original, region.copy)
    pictures = {"original": region.original, "copy": region.copy, "change": change}
    data = "".join(f"--{name}:url({_data(pixels)});" for name, pixels in pictures.items())
    original, copy, changed = (f'<div class="picture {name}" role=img aria-label={name}></div>' for name in pictures)
    return (
        f"<h2>{escape(region.name)}</h2><p>{escape('; '.join(figures))}</p>"
        f'<div class=row style="--shape:{width}/{height};{data}">'
        f"<figure><div class=turns>{original}{copy}</div><figcaption>in turns</figcaption></figure>"
        f"<figure>{original}<figcaption>original</figcaption></figure>"
        f"<figure>{copy}<figcaption>copy</figcaption></figure>"
        f"<figure>{changed}<figcaption>change, {AMPLIFIED} times</figcaption></figure></div>"
    )


def _data(pixels: Pixels) -> str:
    """Return a picture as an address that holds it; each is held once and shown twice."""
    return f"data:image/png;base64,{base64.b64encode(png(Image.fromarray(pixels))).decode('ascii')}"
