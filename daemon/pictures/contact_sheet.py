"""Pictures side by side, a row a region, as one PNG; and a change made large enough to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from uncnn.plugins.api import Pixels

AMPLIFIED: Final = 8  # times; grey is unchanged
_GAP: Final = 8  # px
_HEAD: Final = 30
_CAPTION: Final = 22
_INK: Final = (40, 40, 40)


@dataclass(frozen=True, slots=True)
class Row:
    """The pictures of one row, (H, W, 3) uint8, and the words below each."""

    tiles: Sequence[Pixels]
    captions: Sequence[str]


def contact_sheet_png(titles: Sequence[str], rows: Sequence[Row], tile_px: int) -> bytes:
    """Return as PNG a column a title, and a row each with every picture as large as fits into `tile_px` squared."""
    width = _GAP + len(titles) * (tile_px + _GAP)
    height = _HEAD + max(len(rows), 1) * (tile_px + _CAPTION + _GAP)
    made = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(made)

    def left(column: int) -> int:
        return _GAP + column * (tile_px + _GAP)

    for column, title in enumerate(titles):
        draw.text((left(column) + tile_px / 2, _HEAD / 2), title, _INK, ImageFont.load_default(16), anchor="mm")
    for number, row in enumerate(rows):
        top = _HEAD + number * (tile_px + _CAPTION + _GAP)
        for column, (pixels, caption) in enumerate(zip(row.tiles, row.captions, strict=True)):
            tile = _fitted(pixels, tile_px)
            made.paste(tile, (left(column) + (tile_px - tile.width) // 2, top + (tile_px - tile.height) // 2))
            place = (left(column) + tile_px / 2, top + tile_px + _CAPTION / 2)
            draw.text(place, caption, _INK, ImageFont.load_default(13), anchor="mm")
    return png(made)


def amplified(original: Pixels, changed: Pixels) -> Pixels:
    """Return the change, (H, W, 3) uint8, `AMPLIFIED` times as large around middle grey."""
    change = (changed.astype(np.int16) - original) * AMPLIFIED + 128
    shown: Pixels = np.clip(change, 0, 255).astype(np.uint8)
    return shown


def png(image: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _fitted(pixels: Pixels, tile_px: int) -> Image.Image:
    """Return a picture as large as fits into a tile."""
    image = Image.fromarray(pixels)
    scale = tile_px / max(image.size)
    return image.resize((round(image.width * scale) or 1, round(image.height * scale) or 1), Image.Resampling.LANCZOS)
