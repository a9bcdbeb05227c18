"""A face whose pixels were moved: what `evaluate` compares it with, and that all commands count the move as seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.measuring import show
from uncnn.daemon.protect.messages import Show
from uncnn.daemon.protect.moved import UNMOVED, Moved, pack_moved, read_moved
from uncnn.daemon.protect.verifier import Verifier
from uncnn.daemon.verify.displays import on_displays
from uncnn.daemon.verify.visibility import face_square
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
TINY = Face((10.0, 10.0, 13.0, 13.0), ((11, 11), (12, 11), (11.5, 12), (11, 12.5), (12, 12.5)), 0.9)


def test_what_was_moved_comes_back_and_the_rest_is_the_original(tmp_path: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    packed = pack_moved(photo, [FACE, FACE, TINY], [0.0, 0.015, 0.02])
    (tmp_path / "moved").write_bytes(packed)
    for content in (Content(tmp_path / "moved"), Content(data=packed)):
        check_moved(read_moved(content), photo)


def check_moved(moved: Moved, photo: np.ndarray) -> None:
    square = face_square(FACE, photo.shape)
    assert square is not None
    original = np.zeros_like(photo[square])
    assert np.array_equal(moved.square(0, original), original), "it was not moved"
    assert np.array_equal(moved.square(1, original), photo[square])
    assert np.array_equal(moved.square(2, original), original), "too small to be compared"
    assert np.array_equal(moved.square(3, original), original), "a face that only the verifier found"
    assert [moved.share(number) for number in range(4)] == [0.0, 0.015, 0.02, 0.0]
    elsewhere = np.zeros((7, 7, 3), np.uint8)
    assert moved.square(1, elsewhere) is elsewhere


def test_nothing_moved_is_compared_with_the_original() -> None:
    original = np.zeros((5, 5, 3), np.uint8)
    assert read_moved(None) is UNMOVED
    assert UNMOVED.square(0, original) is original
    assert UNMOVED.share(0) == 0


@pytest.mark.slow
def test_how_much_is_to_be_seen_is_one_figure_and_counts_what_was_moved(tmp_path: Path) -> None:
    """In `cloak`, which knows what the worker moved, in `verify`, which does not, and in `compare`."""
    skimage = pytest.importorskip("skimage")
    photo = np.asarray(skimage.data.astronaut())
    providers = ["CPUExecutionProvider"]
    judge = OnnxRecogniser.load(EMBEDDED / "openvino-0095", providers)
    verifier = Verifier(load_onnx(EMBEDDED / OWN_ONNX, providers), [judge])
    original, copy = tmp_path / "original.png", tmp_path / "copy.png"
    Image.fromarray(photo).save(original)
    faces = verifier.found(original.read_bytes(), "auto")
    square = face_square(faces[0], photo.shape)
    assert square is not None
    moved = photo.copy()
    moved[square] = np.roll(photo[square], 1, axis=1)  # and not one grey level is added
    Image.fromarray(moved).save(copy)
    told = Moved([moved[square]], [0.015])
    judged = [
        verifier.verify(
            original.read_bytes(), copy.read_bytes(), 1e-3, ["as-is"], 24, faces, moved=each, rotated="auto"
        )
        for each in (told, UNMOVED)
    ]
    shown = show(verifier.detector, Show(Content(original), "original.png", Content(copy), "copy.png", "png"))
    jod, (zoom,) = on_displays(photo, moved, faces)
    assert [verdict.jod for verdict in judged] == [jod, jod]
    assert [*(verdict.faces[0].zoom for verdict in judged), shown.regions[1]["jod"]["zoom"]] == [zoom] * 3
    assert zoom is not None
    assert zoom < 9.5, "it is seen"
    assert judged[0].faces[0].moved == 0.015
