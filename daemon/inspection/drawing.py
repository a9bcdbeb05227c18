"""The photo with its faces drawn in: a box and five points each, a number beside it, on any skin and any background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from uncnn.daemon.pictures.contact_sheet import png
from uncnn.daemon.verify.visibility import as_shown
from uncnn.plugins.api import Face, Pixels, Point

LARGEST_PX: Final = 1600  # of the longer side
_FINE: Final = 2  # drawn so many times as large, then scaled down: lines without steps
_CLOAKED: Final = (64, 255, 128)
_LEFT_ALONE: Final = (255, 176, 0)
_POINT: Final = (255, 255, 255)
_EDGE: Final = (0, 0, 0)
_MOST_TIMES: Final = 4
_FONT_PX: Final = (12, 26)  # least and most
_BADGE: Final = 5  # px around the number

Box = tuple[float, float, float, float]


def drawn(pixels: Pixels, faces: Sequence[Face], cloaked: Sequence[bool]) -> bytes:
    """Return a photo, (H, W, 3), as PNG of at most `LARGEST_PX` with the faces in it, numbered as they come.

    Those that are `cloaked` have green boxes, the others orange ones.
    """
    shown = _scaled(pixels)
    scale = shown.shape[1] / pixels.shape[1] * _FINE
    layer = Image.new("RGBA", (shown.shape[1] * _FINE, shown.shape[0] * _FINE))
    draw = ImageDraw.Draw(layer)
    taken: list[Box] = []
    for face, cloak in zip(faces, cloaked, strict=True):
        _face(draw, face, scale, _CLOAKED if cloak else _LEFT_ALONE)
    for number, (face, cloak) in enumerate(zip(faces, cloaked, strict=True), 1):
        taken.append(_badge(draw, str(number), face, scale, _CLOAKED if cloak else _LEFT_ALONE, layer.size, taken))
    image = Image.fromarray(shown).convert("RGBA")
    image.alpha_composite(layer.resize(image.size, Image.Resampling.BOX))
    return png(image.convert("RGB"))


def _scaled(pixels: Pixels) -> Pixels:
    """Return a photo as large as it is shown; a small one enlarged, or its faces would vanish under what is drawn."""
    times = min(LARGEST_PX // max(pixels.shape[:2]), _MOST_TIMES)
    if times < 2:
        return as_shown(pixels, LARGEST_PX)
    size = pixels.shape[1] * times, pixels.shape[0] * times
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _face(draw: ImageDraw.ImageDraw, face: Face, scale: float, colour: tuple[int, int, int]) -> None:
    """Draw a box and its points, each with a dark edge."""
    size = face.size_px * scale
    width = round(min(max(size / 60, 1), 3)) * _FINE
    left, top, right, bottom = (value * scale for value in face.box)
    edge = _FINE
    outer = (left - width - edge, top - width - edge, right + width + edge, bottom + width + edge)
    draw.rectangle(outer, outline=_EDGE, width=width + 2 * edge)
    draw.rectangle((left - width, top - width, right + width, bottom + width), outline=colour, width=width)
    radius = min(max(size / 45, 1.2 * _FINE), 5 * _FINE)
    for number, point in enumerate(face.landmarks):
        _point(draw, point, scale, radius, colour if number < 2 else _POINT)  # the eyes first


def _point(draw: ImageDraw.ImageDraw, point: Point, scale: float, radius: float, colour: tuple[int, int, int]) -> None:
    across, down = (value * scale for value in point)
    for size, fill in ((radius + _FINE, _EDGE), (radius, colour)):
        draw.ellipse((across - size, down - size, across + size, down + size), fill=fill)


def _badge(
    draw: ImageDraw.ImageDraw,
    number: str,
    face: Face,
    scale: float,
    colour: tuple[int, int, int],
    size: tuple[int, int],
    taken: Sequence[Box],
) -> Box:
    """Write a number at the corner of a box that has most room, and return where."""
    least, most = _FONT_PX
    font = ImageFont.load_default(round(min(max(face.size_px * scale / _FINE / 4, least), most) * _FINE))
    words = draw.textbbox((0, 0), number, font, anchor="lt")
    width, height = words[2] + 2 * _BADGE * _FINE, words[3] + 2 * _BADGE * _FINE
    left, top, right, bottom = (value * scale for value in face.box)
    gap = 3 * _FINE
    corners = [(x, y) for y in (top - height - gap, bottom + gap) for x in (left - gap, right - width + gap)]
    corners += [(x, y) for y in (top, bottom - height) for x in (left - width - gap, right + gap)]
    places = [_inside(corner, (width, height), size) for corner in corners]
    place = min(places, key=lambda box: sum(_shared(box, other) for other in (*taken, (left, top, right, bottom))))
    draw.rounded_rectangle(place, 4 * _FINE, fill=_EDGE, outline=colour, width=_FINE)
    draw.text((place[0] + _BADGE * _FINE, place[1] + _BADGE * _FINE), number, colour, font, anchor="lt")
    return place


def _inside(corner: tuple[float, float], size: tuple[float, float], whole: tuple[int, int]) -> Box:
    """Return the box at a corner, moved so that all of it is in the picture."""
    left = min(max(corner[0], 0), max(whole[0] - size[0], 0))
    top = min(max(corner[1], 0), max(whole[1] - size[1], 0))
    return left, top, left + size[0], top + size[1]


def _shared(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0) * max(down, 0)
