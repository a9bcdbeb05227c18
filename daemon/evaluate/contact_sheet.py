"""An evaluation to look at: faces before and after, and the change made large."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from uncnn.daemon.evaluate.values import Sample
from uncnn.plugins.api import Pixels

AMPLIFIED: Final = 8  # times; grey is unchanged
_TILE: Final = 200  # px
_GAP: Final = 8
_HEAD: Final = 30
_CAPTION: Final = 22
_INK: Final = (40, 40, 40)


def contact_sheet(samples: tuple[Sample, ...], strengths: tuple[str, ...]) -> bytes:
    """Return as PNG a row a face: the original, then for each strength the cloaked face and the amplified change."""
    titles = ["original", *(title for name in strengths for title in (name, f"change x {AMPLIFIED}"))]
    width = _GAP + len(titles) * (_TILE + _GAP)
    height = _HEAD + max(len(samples), 1) * (_TILE + _CAPTION + _GAP)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((_left(column) + _TILE / 2, _HEAD / 2), title, _INK, ImageFont.load_default(16), anchor="mm")
    for row, sample in enumerate(samples):
        top = _HEAD + row * (_TILE + _CAPTION + _GAP)
        tiles, captions = _row(sample, strengths)
        for column, (pixels, caption) in enumerate(zip(tiles, captions, strict=True)):
            tile = _fitted(pixels)
            sheet.paste(tile, (_left(column) + (_TILE - tile.width) // 2, top + (_TILE - tile.height) // 2))
            place = (_left(column) + _TILE / 2, top + _TILE + _CAPTION / 2)
            draw.text(place, caption, _INK, ImageFont.load_default(13), anchor="mm")
    buffer = BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def amplified(original: Pixels, changed: Pixels) -> Pixels:
    """Return the change, (H, W, 3) uint8, `AMPLIFIED` times as large around middle grey."""
    change = (changed.astype(np.int16) - original) * AMPLIFIED + 128
    shown: Pixels = np.clip(change, 0, 255).astype(np.uint8)
    return shown


def _row(sample: Sample, strengths: tuple[str, ...]) -> tuple[list[Pixels], list[str]]:
    tiles = [sample.original]
    captions = [f"{sample.original.shape[1]} x {sample.original.shape[0]} px"]
    for strength in strengths:
        released, seen = sample.released[strength], sample.ssimulacra2[strength]
        tiles += [released, amplified(sample.original, released)]
        captions += ["" if seen is None else f"SSIMULACRA2 {seen:.0f}", ""]
    return tiles, captions


def _fitted(pixels: Pixels) -> Image.Image:
    """Return a picture as large as fits into a tile."""
    image = Image.fromarray(pixels)
    scale = _TILE / max(image.size)
    return image.resize((round(image.width * scale) or 1, round(image.height * scale) or 1), Image.Resampling.LANCZOS)


def _left(column: int) -> int:
    return _GAP + column * (_TILE + _GAP)
