"""A photo without a face to change, in a container of our own: its picture to the bit, and nothing from beside it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import photo_samples as samples
import pytest
from chromium import rendered
from photo_samples import SECRET, picture, saved
from PIL import Image

from uncnn.daemon.photos import Photo, decode, encode
from uncnn.daemon.photos.items import items_of
from uncnn.daemon.photos.remuxing import OddContainerError, remuxed

CODED: dict[str, dict[str, Any]] = {
    "WEBP": {"quality": 40},
    "HEIF": {"quality": 40, "chroma": 420},
    "AVIF": {"quality": 40, "subsampling": "4:2:0", "speed": 10},
}


def textured(mode: str = "RGB") -> Image.Image:
    """Return a picture from which compressing takes something every time."""
    noise = np.random.default_rng(1).integers(-40, 40, (200, 280, 1))
    image = Image.fromarray((np.asarray(picture(280, 200)) + noise).clip(0, 255).astype(np.uint8)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 280).astype(np.uint8), (200, 1))))
    return image


def same_picture(photo: Photo, data: bytes) -> Photo:
    again = decode(data, "again")
    assert np.array_equal(again.pixels, photo.pixels)
    assert np.array_equal(again.alpha, photo.alpha)
    assert (again.profile, again.grey, again.encoding) == (photo.profile, photo.grey, photo.encoding)
    return again


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("photo_format", CODED)
def test_where_nothing_changed_the_picture_stays_to_the_bit(photo_format: str, mode: str) -> None:
    photo = decode(saved(textured(mode), photo_format, **CODED[photo_format]), "photo")
    released = encode(photo, photo.pixels)
    same_picture(photo, released.data)
    assert released.notes == ()
    assert len(released.data) <= len(photo.source) + 100


@pytest.mark.parametrize("photo_format", CODED)
def test_a_change_of_one_pixel_is_written(photo_format: str) -> None:
    photo = decode(saved(textured(), photo_format, **CODED[photo_format]), "photo")
    pixels = photo.pixels.copy()
    pixels[60:80, 60:80] //= 2
    again = decode(encode(photo, pixels).data, "again").pixels
    assert np.abs(again[64:76, 64:76].astype(int) - pixels[64:76, 64:76]).mean() < 20


@pytest.mark.parametrize("photo_format", CODED)
def test_what_a_policy_allows_is_said_and_nothing_else(photo_format: str) -> None:
    options = CODED[photo_format] | {"icc_profile": samples.display_p3()}
    exif = samples.secret_exif()
    exif[0x010F] = "Maker"
    photo = decode(saved(textured(), photo_format, exif=exif, **options), "photo")
    assert SECRET in photo.source
    for metadata, maker in (("none", None), ("camera", "Maker")):
        data = encode(photo, photo.pixels, metadata=metadata).data  # type: ignore[arg-type]
        same_picture(photo, data)
        assert SECRET not in data
        with Image.open(BytesIO(data)) as image:
            assert image.getexif().get(0x010F) == maker


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_of_a_phone_keeps_its_tiles_and_loses_all_beside_them(orientation: int) -> None:
    photo = decode(samples.phone_heic(textured(), orientation), "photo")
    assert photo.pixels.shape == (200, 280, 3)
    assert np.abs(photo.pixels.astype(int).mean(axis=2) - np.asarray(textured()).mean(axis=2)).mean() < 25
    assert photo.source.count(SECRET) > 20
    data = encode(photo, photo.pixels).data
    same_picture(photo, data)
    assert SECRET not in data
    primary, items = items_of(data)
    assert {item.kind for item in items.values()} == {"grid", "hvc1"}
    assert len(items) == 1 + len(items[primary].references["dimg"])


def test_messages_and_padding_of_av1_are_left_out() -> None:
    plain = saved(textured(), "AVIF", **CODED["AVIF"])
    _, items = items_of(plain)
    stream = next(iter(items.values())).content
    said = bytes((5 << 3 | 2, len(SECRET) + 1, 4)) + SECRET  # metadata, of T.35
    at = plain.index(stream)
    content = plain[:at] + said + stream + plain[at + len(stream) :]
    start = plain.index(len(stream).to_bytes(4, "big"))
    content = content[:start] + (len(stream) + len(said)).to_bytes(4, "big") + content[start + 4 :]
    grown = content.index(b"mdat") - 4
    content = content[:grown] + (len(stream) + len(said) + 8).to_bytes(4, "big") + content[grown + 4 :]
    photo = decode(content, "photo")
    data = encode(photo, photo.pixels).data
    same_picture(photo, data)
    assert SECRET not in data


def test_a_webp_keeps_neither_unknown_chunks_nor_what_is_behind() -> None:
    plain = saved(textured("RGBA"), "WEBP", **CODED["WEBP"])
    chunk = b"XYZ " + len(SECRET).to_bytes(4, "little") + SECRET + bytes(len(SECRET) % 2)
    content = plain + chunk
    content = content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:] + SECRET
    photo = decode(content, "photo")
    data = encode(photo, photo.pixels).data
    same_picture(photo, data)
    assert SECRET not in data


def test_a_property_that_nobody_knows_is_not_copied_past() -> None:
    photo = decode(saved(textured(), "HEIF", **CODED["HEIF"]), "photo")
    odd = decode(photo.source.replace(b"pixi", b"pasp"), "odd")
    with pytest.raises(OddContainerError, match="a property pasp"):
        remuxed(odd, b"")
    released = encode(odd, odd.pixels)
    assert released.notes == (
        "the whole picture was compressed again: the unchanged parts of this kind of HEIF cannot be copied",
    )
    assert np.abs(decode(released.data, "again").pixels.astype(int) - odd.pixels).mean() < 10


def test_a_lack_of_memory_is_not_taken_for_a_rare_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = decode(saved(textured(), "WEBP", **CODED["WEBP"]), "photo")

    def fails(*_given: object) -> None:
        raise MemoryError

    monkeypatch.setattr("uncnn.daemon.photos.reader.seen", fails)
    with pytest.raises(MemoryError):
        encode(photo, photo.pixels)


@pytest.mark.slow
def test_people_see_the_same_picture(tmp_path: Path) -> None:
    files: dict[str, tuple[str, bytes]] = {}
    for photo_format in ("AVIF", "WEBP"):
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[samples.ORIENTATION] = orientation
            for name, mode, profile in (("plain", "RGB", None), ("clear", "RGBA", None), ("wide", "RGB", True)):
                more = {"icc_profile": samples.display_p3()} if profile else {}
                content = saved(textured(mode), photo_format, exif=exif, **CODED[photo_format], **more)
                photo = decode(content, "photo")
                files[f"{photo_format} {orientation} {name} before"] = photo_format, content
                files[f"{photo_format} {orientation} {name} after"] = photo_format, remuxed(photo, exif_for(photo))
    shown = rendered(files, tmp_path)
    for name in files:
        before, after = shown[name.replace(" after", " before")], shown[name]
        assert np.array_equal(before, after), name


def exif_for(photo: Photo) -> bytes:
    """Return the EXIF that a photo needs to be turned, where its container does not say so itself."""
    exif = Image.Exif()
    exif[samples.ORIENTATION] = photo.orientation
    return exif.tobytes() if photo.format == "WEBP" and photo.orientation != 1 else b""
