"""How far a change shows on displays: what is fitted how, known changes, and the figures of JPEG."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from uncnn.daemon.verify import displays
from uncnn.daemon.verify.displays import MetricMissing, fitted, on_displays, zoomed
from uncnn.plugins.api import Face, Pixels, UncnnError
from uncnn.plugins.displays import DESKTOP, PHONE

FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
TINY = Face((10.0, 10.0, 13.0, 13.0), ((11, 11), (12, 11), (11.5, 12), (11, 12.5), (12, 12.5)), 0.9)


def noisy(photo: Pixels, amplitude: int) -> Pixels:
    noise = np.random.default_rng(0).integers(-amplitude, amplitude + 1, photo.shape)
    return np.clip(photo.astype(int) + noise, 0, 255).astype(np.uint8)


def test_photos_are_fitted_and_never_enlarged() -> None:
    portrait = np.zeros((4000, 3000, 3), np.uint8)
    assert fitted(portrait, PHONE).shape == (1440, 1080, 3)
    assert fitted(portrait, DESKTOP).shape == (1080, 810, 3)
    assert fitted(np.zeros((20_000, 400, 3), np.uint8), PHONE).shape == (2400, 48, 3), "no taller than the screen"
    small = np.zeros((250, 200, 3), np.uint8)
    assert fitted(small, PHONE) is small


def test_a_face_is_zoomed_to_twice_the_desktop_and_cut_to_the_screen() -> None:
    square = (slice(100, 300), slice(50, 150))
    assert zoomed(np.zeros((400, 400, 3), np.uint8), square).shape == (400, 200, 3), "as it is there, twice as large"
    assert zoomed(np.zeros((2160, 1000, 3), np.uint8), square).shape == (200, 100, 3), "half as large there"
    large = np.zeros((2160, 3840, 3), np.uint8)
    large[1080, 1920] = 255
    seen = zoomed(large, (slice(0, 2160), slice(840, 3000)))
    assert seen.shape == (1080, 1080, 3)
    assert seen[540, 540, 0] > 200, "the middle"


def test_a_known_change() -> None:
    """Small next to the same change twice as strong; the face that shows most counts, tiny ones do not."""
    photo = np.asarray(pytest.importorskip("skimage").data.astronaut())
    same = on_displays(photo, photo, [FACE])
    assert (same.phone, same.desktop, same.zoom) == (10, 10, 10)
    weak, strong = (on_displays(photo, noisy(photo, amplitude), [FACE, TINY]) for amplitude in (8, 16))
    assert 10 > weak.phone > strong.phone > 8
    assert 10 > weak.desktop > strong.desktop
    assert weak.phone > weak.desktop, "a phone's pixels are finer"
    elsewhere = photo.copy()
    elsewhere[300:] = noisy(photo, 16)[300:]
    assert on_displays(photo, elsewhere, [FACE]).zoom == 10, "the face is as it was"
    other = Face((200.0, 350.0, 280.0, 450.0), tuple((x, y + 280) for x, y in FACE.landmarks), 0.9)
    assert (on_displays(photo, elsewhere, [FACE, other]).zoom or 10) < 10
    assert on_displays(photo, photo, [TINY]).zoom is None
    line = np.zeros((1, 1, 3), np.uint8)
    assert on_displays(line, line).desktop == 10


def test_photos_of_two_sizes_are_refused() -> None:
    with pytest.raises(UncnnError, match=r"different sizes \(20 x 10 and 10 x 10\)"):
        on_displays(np.zeros((10, 20, 3), np.uint8), np.zeros((10, 10, 3), np.uint8))


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert displays.installed()
    monkeypatch.setattr(displays, "find_spec", lambda name: None)
    assert not displays.installed()
    photo = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(MetricMissing, match=r'not installed: pip install "uncnn\[evaluate\]"'):
        on_displays(photo, photo)


def test_its_import_needs_nothing_heavy() -> None:
    code = "import sys, uncnn.daemon.verify.displays; assert not {'torch', 'pycvvdp', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_jpeg_shows_as_much_as_it_was_measured_to(shared_data: Path) -> None:
    """The yardstick of the budgets: every third photo of `people` as JPEG of quality 50."""
    files = sorted((shared_data / "people").glob("*/*.jpg"))[::3]
    found = []
    for file in files:
        photo = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", quality=50)
        found.append(on_displays(np.asarray(photo), np.asarray(Image.open(buffer).convert("RGB"))))
    assert np.mean([each.phone for each in found]) == pytest.approx(9.89, abs=0.03)
    assert np.mean([each.desktop for each in found]) == pytest.approx(9.56, abs=0.03)
