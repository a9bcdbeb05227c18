"""A picture of faces and of whom recognisers take each for: the photo on the left, its copy on the right, and bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from uncnn.daemon.explain.explained import ExplainedFace, Identification, RecogniserAnswer
from uncnn.daemon.explain.words import NONE_OF_THESE, OTHERS, UNEXPECTED, chance_words
from uncnn.daemon.pictures.contact_sheet import png
from uncnn.daemon.verify.visibility import face_square
from uncnn.plugins.api import Face, Pixels

MOST_FACES: Final = 12
PANEL_PX: Final = 460  # across
FACE_PX: Final = 200
_GAP: Final = 16
_LINE: Final = 24
_NAME_PX: Final = 170
_CHANCE_PX: Final = 70
_BAR_PX: Final = PANEL_PX - _NAME_PX - _CHANCE_PX
_INK: Final = (40, 40, 40)
_PALE: Final = (120, 120, 120)
_TRACK: Final = (235, 235, 235)
_PERSON: Final = (213, 94, 0)
_STRANGER: Final = (86, 180, 233)
_NOBODY: Final = (0, 158, 115)
_UNEXPECTED: Final = (170, 214, 196)
"""Told apart by the colour-blind too (Okabe and Ito, "Color Universal Design", 2008)."""


@dataclass(frozen=True, slots=True)
class Version:
    """A photo or its copy."""

    title: str
    pixels: Pixels  # (H, W, 3)


@dataclass(frozen=True, slots=True)
class _Bar:
    name: str
    chance: float | None
    words: str
    colour: tuple[int, int, int]


def explanation_png(versions: Sequence[Version], faces: Sequence[ExplainedFace]) -> bytes:
    """Return the picture as PNG: `MOST_FACES` at most, in their order."""
    shown = faces[:MOST_FACES]
    lines = [[1 + len(_bars(each.copy or each.original)) for each in face.answers] for face in shown]
    heights = [FACE_PX + 2 * _LINE + sum(lines_of) * _LINE + len(lines_of) * _GAP for lines_of in lines]
    width = _GAP + len(versions) * (PANEL_PX + _GAP)
    made = Image.new("RGB", (width, _GAP + _LINE + sum(heights) + (len(shown) + 1) * _GAP), "white")
    draw = ImageDraw.Draw(made)
    for column, version in enumerate(versions):
        left = _GAP + column * (PANEL_PX + _GAP)
        _text(draw, (left, _GAP), version.title, PANEL_PX, 16)
        top = 2 * _GAP + _LINE
        for face, height in zip(shown, heights, strict=True):
            _face(made, draw, (left, top), version, face, copy=column == 1)
            top += height + _GAP
    return png(made)


def _face(
    made: Image.Image,
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    version: Version,
    face: ExplainedFace,
    *,
    copy: bool,
) -> None:
    """Draw one face of one version, and below it whom each recogniser takes it for."""
    left, top = place
    where = (face.again or face.face) if copy else face.face
    square = face_square(where, version.pixels.shape) or _box(where, version.pixels.shape)
    tile = Image.fromarray(version.pixels[square]).resize((FACE_PX, FACE_PX), Image.Resampling.LANCZOS)
    made.paste(tile, (left, top))
    words = f"face {face.number}, {face.face.size_px:.0f} px"
    if copy and not face.found_again:
        words += "; not found in the copy: asked about where it was"
    top += FACE_PX + _LINE // 4
    _text(draw, (left, top), words, PANEL_PX, 14, _PALE)
    top += 2 * _LINE - _LINE // 4
    for answer in face.answers:
        _text(draw, (left, top), _title(answer), PANEL_PX, 14)
        found = (answer.copy if copy else None) or answer.original
        for number, bar in enumerate(_bars(found), 1):
            _bar(draw, (left, top + number * _LINE), bar)
        top += (1 + len(_bars(answer.copy or answer.original))) * _LINE + _GAP


def _title(answer: RecogniserAnswer) -> str:
    if answer.role == "classifier":
        return f"{answer.recogniser}: must name one of the {answer.names:,} it knows (softmax)"
    return f"{answer.recogniser}, {answer.names:,} names"


def _bars(found: Identification) -> list[_Bar]:
    bars = [
        _Bar(
            each.name,
            each.confidence,
            f"{each.score:.3f}" if each.confidence is None else chance_words(each.confidence),
            _PERSON if each.kind == "person" else _STRANGER,
        )
        for each in found.candidates
    ]
    if found.others is not None:
        bars.append(_Bar(OTHERS, found.others, chance_words(found.others), _STRANGER))
    if found.nobody is not None:
        bars.append(_Bar(NONE_OF_THESE, found.nobody, chance_words(found.nobody), _NOBODY))
    if found.unaware is not None:
        bars.append(_Bar(UNEXPECTED, found.unaware, chance_words(found.unaware), _UNEXPECTED))
    return bars


def _bar(draw: ImageDraw.ImageDraw, place: tuple[int, int], bar: _Bar) -> None:
    left, top = place
    _text(draw, (left, top), bar.name, _NAME_PX - 8, 14)
    start, bottom = left + _NAME_PX, top + _LINE - 8
    if bar.chance is not None:
        draw.rectangle((start, top + 2, start + _BAR_PX, bottom), _TRACK)
        draw.rectangle((start, top + 2, start + max(round(_BAR_PX * bar.chance), 1), bottom), bar.colour)
    font = ImageFont.load_default(14)
    draw.text((left + PANEL_PX, top), bar.words, _INK, font, anchor="ra")


def _text(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    words: str,
    room_px: int,
    size: int,
    colour: tuple[int, int, int] = _INK,
) -> None:
    """Draw words in the room there is; longer ones are cut."""
    font = ImageFont.load_default(size)
    shown = words
    while draw.textlength(shown, font) > room_px and len(shown) > 1:
        shown = f"{shown.rstrip('.')[:-1]}..."
    draw.text(place, shown, colour, font)


def _box(face: Face, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the box of a face that is too small for a square, one pixel at least."""
    x0, y0, x1, y1 = (round(value) for value in face.box)
    left, top = min(max(x0, 0), shape[1] - 1), min(max(y0, 0), shape[0] - 1)
    return slice(top, max(min(y1, shape[0]), top + 1)), slice(left, max(min(x1, shape[1]), left + 1))
