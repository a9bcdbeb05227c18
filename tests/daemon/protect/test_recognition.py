"""Every face of a photo is embedded, and in a copy those of the original, where they were if they are not found."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Recognise
from uncnn.daemon.protect.recognition import recognise
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


def test_two_faces_are_embedded_the_larger_first(detector: Detector, judges: list[OnnxRecogniser]) -> None:
    photo = portrait()[:256]
    small = np.asarray(Image.fromarray(photo[:, 100:356]).resize((128, 128)))
    both = np.zeros((256, 640, 3), np.uint8)
    both[:, :512], both[64:192, 512:] = photo, small
    found = recognise(detector, judges, Recognise(content(both), "both", NAMES, False, 24.0))
    assert found.size == (640, 256)
    assert [round(each.face.size_px) for each in found.faces] == sorted(
        (round(each.face.size_px) for each in found.faces), reverse=True
    )
    assert len(found.faces) == 2
    one, other = (np.array(each.models[0].embedding) for each in found.faces)
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.8, "the same person twice"
    assert [each.recogniser for each in found.faces[0].models] == ["openvino-0095"], "who is not asked says nothing"
    large_only = recognise(detector, judges, Recognise(content(both), "both", NAMES, False, 100.0))
    assert [bool(each.models) for each in large_only.faces] == [True, False]


def test_a_copy_is_asked_about_where_the_face_was(detector: Detector, judges: list[OnnxRecogniser]) -> None:
    photo = portrait()
    seen = recognise(detector, judges, Recognise(content(photo), "photo", NAMES, False, 24.0))
    (face,) = (each.face for each in seen.faces)
    again = recognise(detector, judges, Recognise(content(photo), "copy", NAMES, False, 24.0, (face,)))
    assert [each.found for each in again.faces] == [True]
    np.testing.assert_allclose(again.faces[0].models[0].embedding, seen.faces[0].models[0].embedding, atol=1e-4)
    blank = recognise(detector, judges, Recognise(content(np.zeros_like(photo)), "copy", NAMES, False, 24.0, (face,)))
    assert [(each.face, each.found) for each in blank.faces] == [(face, False)]
    assert blank.faces[0].models


def test_what_is_no_photo_is_named(detector: Detector, judges: list[OnnxRecogniser], tmp_path: Path) -> None:
    with pytest.raises(UncnnError, match=r"holiday\.jpg"):
        recognise(detector, judges, Recognise(Content(data=b"no photo"), "holiday.jpg", NAMES, False, 24.0))
