"""The views under which a verdict must hold."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from skimage import data

from uncnn.daemon.config.views import View, parse_view
from uncnn.daemon.photos.views import reencode
from uncnn.plugins.api import UncnnError


def test_names_are_parsed() -> None:
    assert parse_view("as-is") == View("as-is")
    assert parse_view("half-size") == View("half-size")
    assert parse_view("jpeg-75") == View("jpeg", 75)
    assert parse_view("jpeg-100") == View("jpeg", 100)
    assert parse_view("blur-1") == View("blur", sigma_px=1.0)
    assert parse_view("blur-0.5") == View("blur", sigma_px=0.5)


BAD_BLURS = ("blur", "blur-0", "blur-0.0", "blur-10", "blur-1.25", "blur-1.0", "blur--1", "blur-1px")


@pytest.mark.parametrize(
    "name", [*("", "jpeg", "jpeg-0", "jpeg-101", "jpeg-075", "jpeg-7.5", "JPEG-75", "as-is "), *BAD_BLURS]
)
def test_other_names_are_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(UncnnError, match="use as-is, jpeg-NN with NN from 1 to 100, half-size, or blur-S"):
        parse_view(name)
    with pytest.raises(UncnnError, match="is not known"):
        reencode(np.zeros((8, 8, 3), np.uint8), name)


def test_views_keep_the_size_and_lose_what_they_should() -> None:
    photo = data.astronaut()[:301, :203]
    assert reencode(photo, "as-is") is photo
    errors = []
    for name in ("jpeg-95", "jpeg-75", "jpeg-30", "half-size", "blur-1"):
        seen = reencode(photo, name)
        assert seen.shape == photo.shape
        assert seen.dtype == np.uint8
        errors.append(float(np.abs(seen.astype(float) - photo).mean()))
    assert 0 < errors[0] < errors[1] < errors[2] < 10
    assert 1 < errors[3] < 10
    assert 1 < errors[4] < 10


def test_a_blur_has_the_sigma_that_its_name_says() -> None:
    dot = np.zeros((61, 61, 3), np.uint8)
    dot[26:35, 26:35] = 255  # large enough that rounding to grey levels does not count
    spread = np.arange(61) - 30.0
    for sigma in (1.0, 2.5):
        weights = reencode(dot, f"blur-{sigma:g}")[30, :, 0].astype(float)
        variance = (weights * spread**2).sum() / weights.sum() - (9**2 - 1) / 12
        assert variance == pytest.approx(sigma**2, rel=0.1)


def test_a_photo_of_one_pixel_survives() -> None:
    pixel = np.full((1, 1, 3), 7, np.uint8)
    for name in ("jpeg-75", "half-size", "blur-1"):
        assert reencode(pixel, name).shape == (1, 1, 3)


def test_neither_names_nor_configuration_need_an_image_library() -> None:
    program = (
        "import sys, uncnn.daemon.config.views, uncnn.daemon.config\n"
        "import uncnn.daemon.files.scan, uncnn.daemon.files.publish\n"
        "found = {'torch', 'onnx', 'onnxruntime', 'PIL', 'pillow_heif'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
