"""Whom recognisers take faces for: in a copy those of the original, where they were if they are not found."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Explain
from uncnn.daemon.protect.recognition import explain
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Detector, UncnnError
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

CPU = ["CPUExecutionProvider"]
NAMES = ("openvino-0095", "not-loaded")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_onnx(EMBEDDED / OWN_ONNX, CPU)


@pytest.fixture(scope="module")
def judges() -> list[OnnxRecogniser]:
    return [OnnxRecogniser.load(EMBEDDED / name, CPU) for name in ("openvino-0095", "esp-mfn")]


def content(pixels: np.ndarray) -> Content:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return Content(data=buffer.getvalue())


def portrait() -> np.ndarray:
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())


FOLDERS = {name: EMBEDDED / name for name in ("openvino-0095", "esp-mfn")}


def asked(photo: np.ndarray, copy: np.ndarray | None = None, smallest: float = 24.0, most: int = 8) -> Explain:
    other = None if copy is None else content(copy)
    return Explain(content(photo), "photo", other, NAMES, False, smallest, most, ())


def test_the_larger_of_two_faces_comes_first(detector: Detector, judges: list[OnnxRecogniser]) -> None:
    photo = portrait()[:256]
    small = np.asarray(Image.fromarray(photo[:, 100:356]).resize((128, 128)))
    both = np.zeros((256, 640, 3), np.uint8)
    both[:, :512], both[64:192, 512:] = photo, small
    found = explain(detector, judges, FOLDERS, asked(both))
    assert (found.size, found.copy_size, found.too_small, found.further) == ((640, 256), None, 0, 0)
    one, other = found.faces
    assert (one.number, other.number) == (1, 2)
    assert one.face.size_px > other.face.size_px
    assert (one.again, one.found_again) == (None, None)
    assert [each.recogniser for each in one.answers] == ["openvino-0095"], "who is not asked says nothing"
    assert one.answers[0].names == 1000
    small_ones = explain(detector, judges, FOLDERS, asked(both, smallest=100.0))
    assert (len(small_ones.faces), small_ones.too_small) == (1, 1)
    first = explain(detector, judges, FOLDERS, asked(both, both, most=1))
    assert (len(first.faces), first.further) == (1, 1)


def test_a_copy_is_asked_about_where_the_face_was(detector: Detector, judges: list[OnnxRecogniser]) -> None:
    photo = portrait()
    (same,) = explain(detector, judges, FOLDERS, asked(photo, photo)).faces
    assert (same.again, same.found_again) == (same.face, True)
    (answer,) = same.answers
    assert answer.copy is not None
    scores = [[round(each.score, 3) for each in named.candidates[:1]] for named in (answer.original, answer.copy)]
    assert scores[0] == scores[1]
    (blank,) = explain(detector, judges, FOLDERS, asked(photo, np.zeros_like(photo))).faces
    assert (blank.again, blank.found_again) == (blank.face, False)
    assert blank.answers[0].copy is not None


def test_a_copy_of_another_size_is_said_to_be_one(detector: Detector, judges: list[OnnxRecogniser]) -> None:
    photo = portrait()
    found = explain(detector, judges, FOLDERS, asked(photo, photo[:-1]))
    assert (found.faces, found.size, found.copy_size) == ((), (512, 512), (512, 511))


def test_what_is_no_photo_is_named(detector: Detector, judges: list[OnnxRecogniser]) -> None:
    with pytest.raises(UncnnError, match=r"holiday\.jpg"):
        explain(
            detector,
            judges,
            FOLDERS,
            Explain(Content(data=b"no photo"), "holiday.jpg", None, NAMES, False, 24.0, 8, ()),
        )
