"""Draws the picture that canaries look at, `canary.png`: `python -m uncnn.exporters.train.canary_picture`.

Left a face of nobody, drawn here from ellipses and lines; right the mean of thousands of aligned faces, `crowd.png`,
which is nobody's either. To every recogniser that uncnn knows they are strangers, and the detector is sure of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from uncnn.plugins.api import Pixels
from uncnn.plugins.engine.targets import CROWD
from uncnn.plugins.recognisers import canaries

Colour: TypeAlias = tuple[int, int, int]
Shape: TypeAlias = Callable[[ImageDraw.ImageDraw], None]

SIDE = 160  # pixels of each half
DRAWN = 480  # pixels that the face is drawn at
MIDDLE = DRAWN / 2
NOISE = 2.5  # grey levels: what a camera adds

WALL, SHIRT = (170, 165, 150), (70, 80, 110)
SKIN, SHADE, LIT, CHEEK = (120, 82, 62), (86, 59, 44), (134, 91, 69), (132, 68, 48)
HAIR, IRIS, WHITE, BLACK = (20, 16, 16), (45, 30, 22), (238, 234, 230), (15, 12, 12)
LID, LIPS, LOWER_LIP, MOUTH, NOSTRIL = (40, 28, 24), (120, 60, 60), (134, 67, 67), (80, 30, 32), (70, 35, 30)


def picture() -> Pixels:
    """Return the picture, (160, 320, 3) uint8 RGB; the same every time."""
    drawn = _finished(_face())
    crowd = np.asarray(Image.open(CROWD).convert("RGB"))
    rows, columns = ((SIDE - side) // 2 for side in crowd.shape[:2])
    border = ((rows, SIDE - crowd.shape[0] - rows), (columns, SIDE - crowd.shape[1] - columns), (0, 0))
    return np.concatenate([drawn, np.pad(crowd, border, mode="edge")], axis=1)


def _finished(face: Image.Image) -> Pixels:
    """Return a drawing in its final size, lit from one side and with a camera's noise."""
    small = face.filter(ImageFilter.GaussianBlur(1.2)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    place = np.linspace(-1, 1, SIDE)
    light = 1 + 0.064 * place[None, :, None] - 0.05 * place[:, None, None]
    noise = np.random.default_rng(1).normal(0, NOISE, (SIDE, SIDE, 1))
    return np.clip(np.asarray(small) * light + noise, 0, 255).round().astype(np.uint8)


def _face() -> Image.Image:
    canvas = _Canvas()
    canvas.ellipse((0, 520), (190, 110), SHIRT, soft=3)
    canvas.lay(lambda draw: draw.rectangle([_x(-48), 330, _x(48), 450], fill=255), SHADE, soft=6)
    _head(canvas)
    for side in (-1, 1):
        _eye(canvas, side)
    _nose(canvas)
    _mouth(canvas)
    _beard(canvas)
    return canvas.image


def _head(canvas: _Canvas) -> None:
    canvas.ellipse((0, 225), (121, 125), SKIN, soft=3)
    jaw = [(-118, 250), (-109, 330), (-44, 380), (44, 380), (109, 330), (118, 250)]
    canvas.polygon(jaw, SKIN, soft=7)
    for side in (-1, 1):
        canvas.ellipse((side * 123, 250), (14, 28), SHADE, soft=3)
    canvas.lay(lambda draw: draw.pieslice([_x(-132), 80, _x(132), 300], 180, 360, fill=255), HAIR, soft=4)
    canvas.ellipse((0, 205), (103, 62), SKIN, soft=8)
    canvas.ellipse((-78, 290), (34, 60), SHADE, soft=22, opaque=120)
    canvas.ellipse((78, 290), (34, 60), SHADE, soft=22, opaque=200)
    canvas.ellipse((0, 195), (50, 25), LIT, soft=15, opaque=130)
    for side in (-1, 1):
        canvas.ellipse((side * 52, 300), (24, 18), CHEEK, soft=14, opaque=140)


def _eye(canvas: _Canvas, side: int) -> None:
    x, y = side * 48.7, 240
    canvas.ellipse((x, y - 4), (26, 16), SHADE, soft=9, opaque=190)
    canvas.ellipse((x, y), (17, 8), WHITE, soft=1.5)
    canvas.ellipse((x, y), (7.8, 7.8), IRIS, soft=1)
    canvas.ellipse((x, y), (3.7, 3.7), BLACK, soft=0.7)
    canvas.ellipse((x - 3, y - 3), (2, 2), (255, 255, 255), soft=0.5)
    lid = [_x(x - 19), y - 11, _x(x + 19), y + 13]
    canvas.lay(lambda draw: draw.arc(lid, 195, 345, fill=255, width=4), LID, soft=1)
    brow = [(side * 22.7, 218), (x, 202), (side * 78.7, 212)]
    canvas.line(brow, 9, HAIR, soft=2.5, opaque=220)


def _nose(canvas: _Canvas) -> None:
    canvas.polygon([(-9, 240), (-33, 312), (33, 312), (9, 240)], LIT, soft=8, opaque=110)
    canvas.line([(11, 244), (30, 305)], 7, SHADE, soft=5, opaque=150)
    canvas.ellipse((0, 307), (24, 12), LIT, soft=5, opaque=150)
    for side in (-1, 1):
        canvas.ellipse((side * 30, 311), (9, 8), SHADE, soft=4, opaque=200)
        canvas.ellipse((side * 15, 317), (6, 3.5), NOSTRIL, soft=1.5)


def _mouth(canvas: _Canvas) -> None:
    canvas.ellipse((0, 367), (26, 7), SHADE, soft=6, opaque=150)
    canvas.polygon([(-51, 347), (-12, 338), (0, 341), (12, 338), (51, 347), (0, 350)], LIPS, soft=2)
    lower = [_x(-46), 333, _x(46), 362]
    canvas.lay(lambda draw: draw.chord(lower, 0, 180, fill=255), LOWER_LIP, soft=2)
    canvas.line([(-51, 347), (0, 349), (51, 347)], 3, MOUTH, soft=1)


def _beard(canvas: _Canvas) -> None:
    def shape(draw: ImageDraw.ImageDraw) -> None:
        draw.ellipse([_x(-105), 300, _x(105), 395], fill=255)
        draw.ellipse([_x(-50), 285, _x(50), 330], fill=0)
        draw.ellipse([_x(-55), 335, _x(55), 365], fill=0)

    canvas.lay(shape, HAIR, soft=6, opaque=191)


class _Canvas:
    """A drawing in the making: one soft-edged shape over another; x is counted from the middle."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (DRAWN, DRAWN), WALL)

    def lay(self, shape: Shape, colour: Colour, soft: float, opaque: int = 255) -> None:
        mask = Image.new("L", self.image.size, 0)
        shape(ImageDraw.Draw(mask))
        mask = mask.filter(ImageFilter.GaussianBlur(soft)).point([value * opaque // 255 for value in range(256)])
        self.image.paste(Image.new("RGB", self.image.size, colour), (0, 0), mask)

    def ellipse(
        self, at: tuple[float, float], half: tuple[float, float], colour: Colour, soft: float, opaque: int = 255
    ) -> None:
        (x, y), (wide, high) = at, half
        box = [_x(x - wide), y - high, _x(x + wide), y + high]
        self.lay(lambda draw: draw.ellipse(box, fill=255), colour, soft, opaque)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour, soft: float, opaque: int = 255) -> None:
        corners = [(_x(x), y) for x, y in points]
        self.lay(lambda draw: draw.polygon(corners, fill=255), colour, soft, opaque)

    def line(
        self, points: Sequence[tuple[float, float]], width: int, colour: Colour, soft: float, opaque: int = 255
    ) -> None:
        ends = [(_x(x), y) for x, y in points]
        self.lay(lambda draw: draw.line(ends, fill=255, width=width, joint="curve"), colour, soft, opaque)


def _x(from_middle: float) -> float:
    return MIDDLE + from_middle


def main(path: Path = canaries.PICTURE) -> None:
    """Write the picture."""
    Image.fromarray(picture()).save(path, optimize=True)


if __name__ == "__main__":
    main()
