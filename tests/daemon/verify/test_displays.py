"""How far a change shows on displays: what is fitted how, known changes, and the figures of JPEG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from uncnn.daemon.verify.displays import Versions, on_displays, zoomed
from uncnn.daemon.verify.jod import Jod, change_words, jod_words
from uncnn.plugins.api import Face, Pixels, UncnnError
from uncnn.plugins.perception.displays import DESKTOP, PHONE, Display

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


def fitted(photo: Pixels, display: Display) -> Pixels:
    original, changed = Versions.of(photo, photo).fitted(display)
    assert changed is original
    return original


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
    assert on_displays(photo, photo, [FACE, TINY]) == (Jod(10, 10, 10), (10, None))
    weak, strong = (on_displays(photo, noisy(photo, amplitude), [FACE, TINY])[0] for amplitude in (8, 16))
    assert 10 > weak.phone > strong.phone > 8
    assert 10 > weak.desktop > strong.desktop
    assert weak.phone > weak.desktop, "a phone's pixels are finer"
    elsewhere = photo.copy()
    elsewhere[300:] = noisy(photo, 16)[300:]
    assert on_displays(photo, elsewhere, [FACE])[1] == (10,), "the face is as it was"
    other = Face((200.0, 350.0, 280.0, 450.0), tuple((x, y + 280) for x, y in FACE.landmarks), 0.9)
    jod, (same, seen) = on_displays(photo, elsewhere, [FACE, other])
    assert same == 10
    assert jod.zoom == seen
    assert seen is not None
    assert seen < 10
    assert on_displays(photo, photo, [TINY])[0].zoom is None


@pytest.mark.parametrize(
    ("phone", "desktop", "words"),
    [
        (10.0, 9.95, "not visible on a phone and a desktop"),
        (9.98, 9.5, "not visible on a phone, slightly on a desktop"),
        (9.9, 9.89, "not visible on a phone, hardly on a desktop"),
        (9.75, 9.3, "hardly visible on a phone, visible on a desktop"),
        (9.0, 8.99, "visible on a phone, plainly on a desktop"),
        (8.0, 3.0, "plainly visible on a phone and a desktop"),
    ],
)
def test_figures_in_words(phone: float, desktop: float, words: str) -> None:
    assert change_words(Jod(phone, desktop, None)) == words
    assert jod_words(Jod(phone, desktop, None)) == f"JOD {phone:.2f} on a phone, {desktop:.2f} on a desktop, of 10"


def test_photos_of_two_sizes_are_refused() -> None:
    with pytest.raises(UncnnError, match=r"different sizes \(20 x 10 and 10 x 10\)"):
        on_displays(np.zeros((10, 20, 3), np.uint8), np.zeros((10, 10, 3), np.uint8))


@pytest.mark.slow
def test_a_scaled_photo_is_that_of_pillow_where_it_changed_and_elsewhere() -> None:
    photo = np.asarray(pytest.importorskip("skimage").data.astronaut())
    large = np.asarray(Image.fromarray(photo).resize((3001, 2251)))
    for rows, columns in (
        (slice(0, 40), slice(0, 900)),
        (slice(1000, 1700), slice(2000, 3001)),
        (np.s_[2250:], np.s_[:]),
    ):
        changed = large.copy()
        changed[rows, columns] ^= 31
        for display in (PHONE, DESKTOP):
            before, after = Versions.of(large, changed).fitted(display)
            for shown, whole in ((before, large), (after, changed)):
                usual = Image.fromarray(whole).resize(before.shape[1::-1], Image.Resampling.LANCZOS)
                difference = np.abs(shown.astype(int) - np.asarray(usual))
                assert difference.max() <= 1, "it is rounded by itself"
                assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3, 2), (5000, 3), (7, 5), (16, 4000)])
def test_photos_of_any_shape_have_a_figure(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 200, (*shape, 3), np.uint8)
    jod, _ = on_displays(photo, photo + np.uint8(50))
    assert 0 < jod.phone < 9.99
    assert 0 < jod.desktop < 9.99


def test_the_largest_change_has_a_figure() -> None:
    board = np.kron(np.indices((9, 12)).sum(axis=0) % 2, np.full((10, 10), 255)).astype(np.uint8)[..., None]
    board = board.repeat(3, axis=2)
    jod, _ = on_displays(board, 255 - board)
    assert 0 < jod.desktop < 7
    assert 0 < jod.phone < 7


@pytest.mark.slow
def test_jpeg_shows_as_much_as_it_was_measured_to(shared_data: Path) -> None:
    """The yardstick of the budgets: every third photo of `people` as JPEG of quality 50."""
    files = sorted((shared_data / "people").glob("*/*.jpg"))[::3]
    found = []
    for file in files:
        photo = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", quality=50)
        jod, _ = on_displays(np.asarray(photo), np.asarray(Image.open(buffer).convert("RGB")))
        found.append(jod)
    assert np.mean([each.phone for each in found]) == pytest.approx(9.89, abs=0.03)
    assert np.mean([each.desktop for each in found]) == pytest.approx(9.56, abs=0.03)
