"""The picture of an explanation: both faces, and a bar as long as each chance."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
from explained_face import FACE, classified, face
from PIL import Image

from uncnn.daemon.pictures.explanation_picture import (
    _BAR_PX,
    _GAP,
    _NOBODY,
    _PERSON,
    FACE_PX,
    MOST_FACES,
    PANEL_PX,
    Version,
    _title,
    explanation_png,
)
from uncnn.plugins.api import Pixels

RED = np.full((200, 160, 3), (200, 0, 0), np.uint8)
BLUE = np.full((200, 160, 3), (0, 0, 200), np.uint8)


CORNER = ((-1.0, -1.0), (0.0, -1.0), (-0.5, -0.5), (-0.9, 0.0), (-0.1, 0.0))


def drawn(*versions: Pixels, copy: bool) -> Pixels:
    shown = [Version(name, pixels) for name, pixels in zip(("photo.jpg", "copy.jpg"), versions, strict=False)]
    with Image.open(BytesIO(explanation_png(shown, [face(copy=copy)]))) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def longest(pixels: Pixels, colour: tuple[int, int, int]) -> int:
    """Return how many pixels of a colour the row has that has most."""
    return int((pixels == np.array(colour)).all(axis=2).sum(axis=1).max())


def test_both_versions_are_shown_and_the_bars_are_as_long_as_the_chances():
    made = drawn(RED, BLUE, copy=True)
    middle = _GAP + PANEL_PX + _GAP // 2
    left, right = made[:, :middle], made[:, middle:]
    assert longest(left, (200, 0, 0)) == FACE_PX
    assert longest(right, (0, 0, 200)) == FACE_PX
    assert longest(left, (0, 0, 200)) == 0
    assert abs(longest(left, _PERSON) - 0.95 * _BAR_PX) <= 2
    assert abs(longest(right, _PERSON) - 0.01 * _BAR_PX) <= 2


def test_a_photo_alone_has_one_column():
    made = drawn(RED, copy=False)
    assert made.shape[1] == 2 * _GAP + PANEL_PX


def test_a_face_at_the_edge_and_one_of_a_crowd_are_drawn():
    edge = replace(face(copy=True), face=replace(FACE, box=(150.2, 190.1, 300, 400)), found_again=False)
    small = replace(face(copy=True), face=replace(FACE, box=(-3, -3, 0.2, 0.2), landmarks=CORNER))
    versions = [Version("photo.jpg", RED), Version("copy.jpg", BLUE)]
    crowd = explanation_png(versions, [edge, small, *[face(copy=True)] * 20])
    with Image.open(BytesIO(crowd)) as image, Image.open(BytesIO(explanation_png(versions, [edge]))) as one:
        assert MOST_FACES * (one.height - 80) < image.height < (MOST_FACES + 1) * one.height


def test_a_classifier_has_bars_for_its_names_and_none_for_nobody():
    without, made = (
        explanation_png([Version("photo.jpg", RED)], [each]) for each in (face(copy=False), classified(copy=False))
    )
    with Image.open(BytesIO(without)) as before, Image.open(BytesIO(made)) as after:
        added = np.asarray(after.convert("RGB"))[before.height - 2 * _GAP :]
    assert abs(longest(added, _PERSON) - 0.9 * _BAR_PX) <= 2
    assert longest(added, _NOBODY) == 0
    assert _title(classified(copy=False).answers[-1]) == "mine.onnx: must name one of the 40 it knows (softmax)"
