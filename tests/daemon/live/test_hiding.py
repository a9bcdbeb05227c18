"""A hidden face is a few colours, whatever is done to it; nothing else of the picture changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.live import caption
from uncnn.daemon.live.hiding import CELLS, around, cell_of, hide
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

CPU = ["CPUExecutionProvider"]


def test_what_is_left_of_a_face_has_as_many_values_as_cells() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    before, box = picture.copy(), np.array([100.0, 60.0, 160.0, 140.0])
    area = around([box], 0.0)
    hide(picture, area, cell_of(box))
    inside = picture[60:141, 100:161].astype(float)
    assert CELLS == 3
    few = np.asarray(Image.fromarray(before[60:141, 100:161]).resize((2, 3), Image.Resampling.BOX))
    assert inside.std() < 6, "the mean of noise is grey"
    assert np.abs(inside[0, 0] - few[0, 0]).max() <= 1
    changed = (picture != before).any(axis=2)
    changed[60:141, 100:161] = False
    assert not changed.any()


@pytest.mark.parametrize("box", [[-50, -50, 20, 20], [280, 180, 400, 400], [-9, -9, 900, 900], [500, 500, 600, 600]])
def test_a_face_that_reaches_over_the_border_is_hidden_as_far_as_it_is_there(box: list[float]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    before, area = picture.copy(), np.array(box, float)
    hide(picture, area, cell_of(area))
    there = np.zeros(picture.shape[:2], bool)
    left, top, right, bottom = (max(int(each), 0) for each in box)
    there[top : bottom + 1, left : right + 1] = True
    assert ((picture != before).any(axis=2) <= there).all()
    assert there.any() == (picture != before).any()


def test_places_of_one_face_are_hidden_together_with_some_room() -> None:
    one, other = np.array([10.0, 10, 30, 40]), np.array([20.0, 10, 40, 40])
    assert around([one, other], 0.0).tolist() == [10, 10, 40, 40]
    assert around([one, other], 0.5).tolist() == [-5, -5, 55, 55]


def test_no_judge_links_a_hidden_face(portraits: Callable[[int], list[np.ndarray]]) -> None:
    detector = load_onnx(EMBEDDED / OWN_ONNX, CPU, 1)
    judges = [OnnxRecogniser.load(EMBEDDED / name, CPU) for name in ("dlib-resnet", "openvino-0095")]
    links: list[bool] = []
    clear: list[bool] = []
    for photo in portraits(3):
        (face, *_) = detector.detect(photo)
        landmarks, box = np.array([face.landmarks]), np.array(face.box)
        hidden = photo.copy()
        hide(hidden, around([box]), cell_of(box))
        for judge in judges:
            own = judge.embed(photo, landmarks)
            links += [judge.card.matches(float(compare(judge.card, own, judge.embed(hidden, landmarks))[0]), 1e-3)]
            clear += [judge.card.matches(float(compare(judge.card, own, judge.embed(photo, landmarks + 1))[0]), 1e-3)]
    assert all(clear)
    assert not any(links)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (120, 90), (32, 8)])
def test_every_picture_says_what_it_is(width: int, height: int) -> None:
    picture = np.full((height, width, 3), 90, np.uint8)
    caption.put(picture)
    strip = picture[-caption.HEIGHT :]
    assert (picture[: -caption.HEIGHT] == 90).all()
    assert strip.max() > 200 or width < 60, "words in light on dark"
    assert int(np.median(strip)) < 40
