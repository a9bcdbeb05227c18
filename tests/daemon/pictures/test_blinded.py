"""The test for people: the pictures are those of the files, the control is the copy's encoder alone, all is within."""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.photos import decode
from uncnn.daemon.photos.values import Photo
from uncnn.daemon.pictures.blinded import PICTURES, VERSIONS, BlindedFace, cut, encoded_like, page
from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Detector, Pixels, UncnnError
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.perception.displays import PHONE


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_torch(EMBEDDED / OWN_DETECTOR)


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    return np.asarray(pytest.importorskip("skimage").data.astronaut()).clip(0, 245)


def stored(pixels: Pixels) -> Photo:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return decode(file.getvalue(), "copy.png")


@pytest.mark.slow
def test_a_face_is_cut_out_of_all_versions_at_both_sizes(detector: Detector, portrait: Pixels) -> None:
    copy = portrait + np.uint8(5)
    found = cut(detector, portrait, stored(copy))
    (face,) = found.faces
    assert (len(face.pictures), found.left_out) == (PICTURES, 0)
    original, changed, control, *phone = face.pictures
    assert np.array_equal(changed, original + 5)
    assert np.array_equal(control, original), "a copy without loss has a control without loss"
    assert max(original.shape) == pytest.approx(1.5 * face.size_px, abs=2)
    assert {each.shape for each in phone} == {original.shape}, "a small photo is shown as it is"
    assert PHONE.scale(*portrait.shape[:2]) == 1

    large = np.asarray(Image.fromarray(portrait).resize((2160, 2160)))
    (face,) = cut(detector, large, stored(large + np.uint8(5))).faces
    assert max(face.pictures[0].shape) == 512
    assert max(face.pictures[3].shape) == pytest.approx(1.5 * face.size_px / 2, abs=2), "the phone is half as wide"


def test_faces_that_both_versions_show_alike_are_left_out(detector: Detector, portrait: Pixels) -> None:
    assert cut(detector, portrait, stored(portrait)).faces == ()
    assert cut(detector, portrait, stored(portrait)).left_out == 1
    with pytest.raises(UncnnError, match="different sizes"):
        cut(detector, portrait, stored(portrait[:-2]))


@pytest.mark.parametrize(("quality", "subsampling"), [(60, "4:2:0"), (92, "4:4:4"), (80, "4:2:2")])
def test_the_control_went_through_the_encoder_of_the_copy(portrait: Pixels, quality: int, subsampling: str) -> None:
    copy = BytesIO()
    Image.fromarray(portrait + np.uint8(5)).save(copy, "JPEG", quality=quality, subsampling=subsampling)
    expected = BytesIO()
    Image.fromarray(portrait).save(expected, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(expected) as image:
        assert np.array_equal(encoded_like(decode(copy.getvalue(), "copy"), portrait), np.asarray(image))


def test_the_control_of_a_grey_copy_keeps_its_colours(portrait: Pixels) -> None:
    copy = BytesIO()
    Image.fromarray(portrait).convert("L").save(copy, "JPEG", quality=80)
    made = encoded_like(decode(copy.getvalue(), "copy"), portrait)
    assert made.shape == portrait.shape
    assert 0 < np.abs(made.astype(int) - portrait).mean() < 6


def test_the_page_holds_the_pictures_without_loss_and_fetches_nothing(portrait: Pixels) -> None:
    pictures = tuple(portrait[:32, : 20 + number] for number in range(PICTURES))
    text = page([BlindedFace(120.4, pictures), BlindedFace(60.0, pictures)])
    (listed,) = re.findall(r"^const FACES = (.*);$", text, re.M)
    faces = json.loads(listed)
    assert [face["px"] for face in faces] == [120, 60]
    for place, shown in enumerate(("native", "phone")):
        for number, version in enumerate(VERSIONS):
            data = base64.b64decode(faces[0][shown][version].removeprefix("data:image/webp;base64,"))
            with Image.open(BytesIO(data)) as image:
                assert np.array_equal(np.asarray(image), pictures[3 * place + number])
    assert not re.search(r"https?:|<link|\bsrc=|fetch\(|import", text.replace(listed, ""))
    assert "default-src 'none'" in text
    assert re.search(r"const PHONE_PX = 3\.18", text)
