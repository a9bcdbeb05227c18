"""Our ColorVideoVDP gives the figures of the package `cvvdp`, which the development environment has for this alone."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from uncnn.daemon.verify import color_video_vdp
from uncnn.daemon.verify.color_video_vdp import jod
from uncnn.daemon.verify.halving import enlarged, halved
from uncnn.plugins.api import Pixels
from uncnn.plugins.perception.displays import DESKTOP, PHONE, Display

AGREED = 0.02  # JOD
PICTURES = {  # odd and even sides, and less than the blur of what masks
    "portrait": ("astronaut", np.s_[:240, 110:310]),
    "cup": ("coffee", np.s_[50:257, 100:401]),
    "cat": ("chelsea", np.s_[:200, 51:200]),
    "iris": ("chelsea", np.s_[100:109, 150:156]),
}


def as_jpeg(quality: int) -> Callable[[Pixels], Pixels]:
    def encoded(picture: Pixels) -> Pixels:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return encoded


def noisy(picture: Pixels) -> Pixels:
    noise = np.random.default_rng(0).integers(-12, 13, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def noisy_in_part(picture: Pixels) -> Pixels:
    changed, part = picture.copy(), np.s_[len(picture) // 3 : len(picture) // 2, 3:-2]
    changed[part] = noisy(picture)[part]
    return changed


def blurred(picture: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1)))


def tinted(picture: Pixels) -> Pixels:
    return np.clip(picture + np.array([8, -4, 6]), 0, 255).astype(np.uint8)


def moved_by_half_a_pixel(picture: Pixels) -> Pixels:
    return ((picture.astype(int) + np.roll(picture, 1, axis=1)) // 2).astype(np.uint8)


CHANGES = {
    "JPEG 50": as_jpeg(50),
    "JPEG 75": as_jpeg(75),
    "JPEG 90": as_jpeg(90),
    "noise": noisy,
    "noise in a part": noisy_in_part,
    "blur": blurred,
    "colour": tinted,
    "half a pixel": moved_by_half_a_pixel,
    "dark": lambda picture: (picture * 0.7).astype(np.uint8),
}


THEIRS = {PHONE: "standard_phone", DESKTOP: "standard_fhd"}
"""What the package calls each display."""


def picture_of(name: str) -> Pixels:
    file, part = PICTURES[name]
    return np.ascontiguousarray(getattr(pytest.importorskip("skimage").data, file)()[part])


@pytest.fixture(scope="module")
def package() -> Callable[[Display, Pixels, Pixels], float]:
    """Return what the package says, on the same display."""
    torch = pytest.importorskip("torch")
    metric = pytest.importorskip("pycvvdp").cvvdp

    def ask(display: Display, original: Pixels, changed: Pixels) -> float:
        asked = metric(display_name=THEIRS[display], device=torch.device("cpu"), quiet=True)
        with torch.inference_mode():
            return float(asked.predict(changed, original, dim_order="HWC")[0])

    return ask


@pytest.mark.parametrize("display", [PHONE, DESKTOP], ids=lambda display: display.name)
@pytest.mark.parametrize("name", PICTURES)
def test_it_agrees_with_the_package(
    package: Callable[[Display, Pixels, Pixels], float], name: str, display: Display
) -> None:
    picture = picture_of(name)
    for change, changed in CHANGES.items():
        ours, theirs = (ask(display, picture, changed(picture)) for ask in (jod, package))
        assert ours == pytest.approx(theirs, abs=AGREED), change


@pytest.mark.parametrize(("top", "left"), [(0, 0), (130, 150), (66, 71), (0, 150)])
def test_looking_only_where_they_differ_changes_nothing(monkeypatch: pytest.MonkeyPatch, top: int, left: int) -> None:
    picture = picture_of("cup")[:150, :170]
    changed = picture.copy()
    changed[top : top + 20, left : left + 20] = noisy(picture)[top : top + 20, left : left + 20]
    found = jod(DESKTOP, picture, changed)
    assert found < 9.99
    everywhere = tuple(slice(0, side) for side in picture.shape[:2])
    monkeypatch.setattr(color_video_vdp, "differing", lambda *_: everywhere)
    assert jod(DESKTOP, picture, changed) == pytest.approx(found, abs=1e-5)
    assert jod(DESKTOP, picture, picture) == 10


def test_a_part_is_enlarged_as_the_whole_is() -> None:
    picture = np.random.default_rng(0).random((3, 37, 22), np.float32)
    small = halved(picture)
    assert small.shape == (3, 19, 11)
    whole = enlarged(small, (37, 22), (slice(0, 37), slice(0, 22)))
    assert whole.shape == picture.shape
    for rows, columns in ((slice(0, 1), slice(0, 22)), (slice(5, 12), slice(3, 4)), (slice(36, 37), slice(20, 22))):
        np.testing.assert_array_equal(enlarged(small, (37, 22), (rows, columns)), whole[:, rows, columns])
    even = np.full((1, 6, 8), 3.0, np.float32)
    np.testing.assert_allclose(halved(even), 3.0, rtol=1e-6)
    np.testing.assert_allclose(enlarged(halved(even), (6, 8), (slice(0, 6), slice(0, 8))), 3.0, rtol=1e-6)


def test_it_needs_no_torch() -> None:
    code = "import sys, uncnn.daemon.verify.displays; assert not {'torch', 'pycvvdp', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
