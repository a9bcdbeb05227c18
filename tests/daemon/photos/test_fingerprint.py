"""The fingerprint of a photo: real files, their metadata edited, their pixels and their encoding changed."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from photo_samples import EVERY, ORIENTATION, oriented, picture, saved, secret_exif, segment, with_secrets
from PIL import Image
from secret_photos import exiftool

from uncnn.daemon.photos import Encoding, Photo, decode, encode
from uncnn.daemon.photos.fingerprint import fingerprint, seed


def plain(photo_format: str) -> bytes:
    """Return the picture of `with_secrets` without any."""
    return saved(picture(), photo_format, **({} if photo_format == "TIFF" else EVERY[photo_format]))


def edited(data: bytes, exif: Image.Exif) -> bytes:
    """Return a JPEG with other EXIF, its picture untouched to the bit."""
    return data[:2] + segment(0xE1, exif.tobytes()) + data[2:]


@pytest.mark.parametrize("photo_format", sorted(EVERY))
def test_metadata_is_no_part_of_the_picture(photo_format: str) -> None:
    before, after = plain(photo_format), with_secrets(photo_format)
    assert before != after
    one, other = decode(before, "a"), decode(after, "b")
    assert fingerprint(one) == fingerprint(other)
    assert seed(one) == seed(other)


def test_a_jpeg_is_the_same_with_its_exif_edited_and_another_turned_by_it() -> None:
    data, exif = plain("JPEG"), secret_exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 300.0, 2  # an editor sets a resolution too
    assert decode(edited(data, exif), "a").encoding.dots_per_inch == (300, 300)
    assert fingerprint(decode(edited(data, exif), "a")) == fingerprint(decode(data, "b"))
    exif[ORIENTATION] = 6
    turned = decode(edited(data, exif), "a")
    assert fingerprint(turned) != fingerprint(decode(data, "b"))
    assert seed(turned) != seed(decode(data, "b"))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("exiftool"), reason="needs exiftool (Debian: libimage-exiftool-perl), an editor")
@pytest.mark.parametrize("photo_format", sorted(EVERY.keys() - {"BMP"}))
def test_a_released_copy_is_the_same_with_a_caption(photo_format: str, tmp_path: Path) -> None:
    photo = decode(with_secrets(photo_format), "a")
    lighter = photo.pixels.copy()
    lighter[20:40, 30:60] += 24
    released = encode(photo, lighter, "same").data
    file = tmp_path / f"copy.{photo_format.lower()}"
    file.write_bytes(released)
    exiftool(
        tmp_path,
        ["-overwrite_original", "-XMP:Description=on the beach", "-XMP:Rating=5", "-EXIF:Artist=me", str(file)],
    )
    assert b"on the beach" in file.read_bytes()
    assert fingerprint(decode(file.read_bytes(), "b")) == fingerprint(decode(released, "c")) != fingerprint(photo)


def test_it_is_the_picture_as_people_see_it() -> None:
    assert fingerprint(decode(oriented(picture(), "PNG", 6), "a")) == fingerprint(decode(plain("PNG"), "b"))


def test_every_field_counts_that_decides_what_comes_out() -> None:
    photo = decode(plain("JPEG"), "a")
    pixels = photo.pixels.copy()
    pixels[5, 7, 2] ^= 1
    assert photo.encoding.quantisation
    changes: list[dict[str, Any]] = [
        {"pixels": pixels},
        {"pixels": photo.pixels.reshape(photo.pixels.shape[1], -1, 3)},
        {"alpha": np.full(photo.pixels.shape[:2], 255, np.uint8)},
        {"grey": not photo.grey},
        {"format": "PNG"},
        {"profile": b"another"},
        {"plain": False},
        *({"encoding": changed} for changed in other_encodings(photo.encoding)),
    ]
    named = {name for change in changes for name in change}
    assert named == {field.name for field in fields(Photo)} - {"notes", "source", "orientation"}, (
        "a field that nobody decided on"
    )
    found = [fingerprint(photo), *(fingerprint(replace(photo, **change)) for change in changes)]
    assert len(set(found)) == len(found)


def other_encodings(encoding: Encoding) -> list[Encoding]:
    values: dict[str, Any] = {
        "quantisation": encoding.quantisation[:1],
        "subsampling": "4:2:0",
        "progressive": not encoding.progressive,
        "lossless": not encoding.lossless,
        "compression": "raw",
    }
    assert values.keys() == {field.name for field in fields(Encoding)} - {"dots_per_inch", "late_exif"}
    return [replace(encoding, **{name: value}) for name, value in values.items()]


def test_the_same_pixels_are_changed_alike_in_any_format() -> None:
    one, other = decode(plain("PNG"), "a"), decode(plain("TIFF"), "b")
    assert fingerprint(one) != fingerprint(other)
    assert seed(one) == seed(other)
    assert seed(one) < 1 << 60


def test_what_lies_below_the_eight_bits_of_the_work_counts() -> None:
    deep = np.full((8, 8, 3), 257 * 90, np.uint16)
    photos = [decode(imagecodecs.png_encode(deep + more), "deep.png") for more in (0, 1)]
    assert np.array_equal(photos[0].pixels, photos[1].pixels)
    assert fingerprint(photos[0]) != fingerprint(photos[1])


def test_what_has_no_fingerprint_is_said() -> None:
    photo = replace(decode(plain("PNG"), "a"), grey=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a object in a photo has no fingerprint"):
        fingerprint(photo)
