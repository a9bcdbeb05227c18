"""Files that are still being written are no photos yet, whatever a decoder makes of them; whole ones always are."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image
from skimage import data

from uncnn.daemon.photos import PhotoError, decode, encode


def saved(mode: str = "RGB", **options: object) -> bytes:
    return samples.saved(_portrait().convert(mode), **options)  # type: ignore[arg-type]


def _portrait() -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(data.astronaut()[:300, 100:412]))


Make = Callable[[], bytes]

KINDS: dict[str, Make] = {
    "JPEG": lambda: saved(photo_format="JPEG", quality=90),
    "JPEG, its own codes": lambda: saved(photo_format="JPEG", quality=90, optimize=True),
    "JPEG, progressive": lambda: saved(photo_format="JPEG", quality=90, progressive=True),
    "JPEG, inks": lambda: saved("CMYK", photo_format="JPEG"),
    "PNG": lambda: saved(photo_format="PNG"),
    "PNG, 16 bits": lambda: samples.saved(Image.fromarray(_deep()), "PNG"),
    "WebP": lambda: saved(photo_format="WEBP", quality=90),
    "WebP, lossless": lambda: saved(photo_format="WEBP", lossless=True),
    "TIFF": lambda: saved(photo_format="TIFF"),
    "TIFF, LZW": lambda: saved(photo_format="TIFF", compression="tiff_lzw"),
    "TIFF, Deflate": lambda: saved(photo_format="TIFF", compression="tiff_adobe_deflate"),
    "TIFF, PackBits": lambda: saved(photo_format="TIFF", compression="packbits"),
    "TIFF, JPEG": lambda: saved(photo_format="TIFF", compression="jpeg"),
    "HEIC": lambda: saved(photo_format="HEIF", quality=80),
    "HEIC, tiles": lambda: samples.phone_heic(_portrait(), tile=128),
    "AVIF": lambda: saved(photo_format="AVIF", quality=80),
    "BMP": lambda: saved(photo_format="BMP"),
    "BMP, palette": lambda: saved("P", photo_format="BMP"),
    "GIF": lambda: saved("P", photo_format="GIF"),
}


@cache
def whole(kind: str) -> bytes:
    return KINDS[kind]()


def _deep() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return np.asarray(_portrait().convert("L")).astype(np.uint16) * 257


def refused(content: bytes) -> None:
    with pytest.raises(PhotoError, match="incomplete") as caught:
        decode(content, "holiday.jpg")
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize("share", [0.1, 0.31, 0.53, 0.77, 0.95])
@pytest.mark.parametrize("kind", KINDS)
def test_zeros_in_place_of_the_end_are_no_photo(kind: str, share: float) -> None:
    content = whole(kind)
    decode(content, "whole")
    written = int(len(content) * share)
    refused(content[:written] + bytes(len(content) - written))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hole_of_zeros_is_no_photo(kind: str) -> None:
    content = whole(kind)
    start, size = int(len(content) * 0.47), int(len(content) * 0.23)
    refused(content[:start] + bytes(size) + content[start + size :])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF"])
@pytest.mark.parametrize("missing", [16, 40])
def test_the_last_few_bytes_count(kind: str, missing: int) -> None:
    content = whole(kind)
    refused(content[:-missing] + bytes(missing))


@pytest.mark.parametrize(("kind", "size"), [("JPEG", 2), ("JPEG, its own codes", 2), ("JPEG, progressive", 2)])
def test_a_whole_jpeg_that_lacks_its_end_is_taken(kind: str, size: int) -> None:
    content = whole(kind)
    photo = decode(content[:-size], "camera.jpg")
    ended = decode(content, "whole.jpg")
    assert np.array_equal(photo.pixels, ended.pixels)
    assert encode(photo, photo.pixels).data == encode(ended, ended.pixels).data
    changed = photo.pixels.copy()
    changed[64:128, 64:128] += 1
    assert encode(photo, changed, metadata="camera").data.endswith(b"\xff\xd9")
    refused(content[: -size - 3])
    refused(content[:-size] + b"\0\0")


@pytest.mark.parametrize(("kind", "size"), [("PNG", 12), ("PNG, 16 bits", 12), ("GIF", 1)])
def test_a_whole_picture_that_lacks_the_mark_of_its_end_is_taken(kind: str, size: int) -> None:
    content = whole(kind)
    photo = decode(content[:-size], "plain")
    assert np.array_equal(photo.pixels, decode(content, "whole").pixels)
    assert decode(encode(photo, photo.pixels).data, "again").format == photo.format


def test_a_progressive_jpeg_without_its_last_scans_and_end_is_no_photo() -> None:
    content = whole("JPEG, progressive")
    refused(content[: content.rindex(b"\xff\xda")])
    refused(content[: content.rindex(b"\xff\xc4")])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP", "GIF"])
@pytest.mark.parametrize("colour", ["black", "white"])
def test_a_picture_of_one_colour_is_whole(kind: str, colour: str) -> None:
    size = (640, 480) if kind in ("HEIF", "AVIF") else (1600, 1200)  # they take long to write
    image = Image.new("RGB", size, colour)
    image.paste(_portrait(), (0, 0))
    options = {"JPEG": {"optimize": True}, "WEBP": {"lossless": True}}.get(kind, {})
    assert decode(samples.saved(image, kind, **options), "even").pixels.shape[1::-1] == size
    empty = Image.new("RGB", size, colour)
    assert decode(samples.saved(empty, kind, **options), "even").pixels.shape[1::-1] == size


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_black_borders_are_whole(compression: str) -> None:
    image = Image.new("RGB", (400, 400))
    image.paste(_portrait(), (44, 50))
    for turn in (0, 90, 180, 270):
        decode(samples.saved(image.rotate(turn), "TIFF", compression=compression), "borders.tif")
        decode(samples.saved(image.rotate(turn), "BMP"), "borders.bmp")


@pytest.mark.parametrize("kind", ["WEBP", "HEIF"])
def test_zeros_in_place_of_what_stands_behind_the_picture_are_no_photo(kind: str) -> None:
    words = b"<x:xmpmeta>" + b"words " * 1000 + b"</x:xmpmeta>"
    content = samples.saved(_portrait(), kind, xmp=words)
    decode(content, "whole")
    at = content.index(words)
    assert len(content) - at - len(words) < 16
    for start in (at, at + 5000):
        refused(content[:start] + bytes(len(content) - start))


@pytest.mark.parametrize("tag", [700, 34675])
def test_zeros_in_place_of_a_profile_are_no_photo(tag: int) -> None:
    profile = samples.display_p3()
    content = samples.saved(_portrait(), "TIFF", tiffinfo={tag: profile}, compression="tiff_lzw")
    decode(content, "whole")
    refused(content.replace(profile, bytes(len(profile))))


def test_zeros_of_a_camera_behind_the_picture_are_left_out() -> None:
    content = whole("JPEG")
    assert np.array_equal(decode(content + bytes(30_000), "padded.jpg").pixels, decode(content, "plain.jpg").pixels)


def test_zeros_where_a_motion_photo_tells_of_more_are_no_photo() -> None:
    tells = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description GCamera:MotionPhoto="1"/></x:xmpmeta>'
    content = saved(photo_format="JPEG", xmp=tells)
    decode(content + b"\0\0\0\x18ftypmp42" + bytes(5000), "motion.jpg")
    refused(content + bytes(5000))


def test_a_file_of_which_only_the_head_is_written_is_still_being_written() -> None:
    content = io.BytesIO()
    _portrait().save(content, "TIFF", compression="tiff_lzw")  # its page is described behind the pixels
    refused(content.getvalue()[:4000] + bytes(len(content.getvalue()) - 4000))
