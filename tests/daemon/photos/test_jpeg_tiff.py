"""TIFFs that scanners compress as JPEG: without a face nothing of them is lost, with one it is said."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import photo_samples as samples
import pytest
import tifffile
from photo_samples import SECRET
from PIL import Image
from skimage import data

from uncnn.daemon.photos import decode, encode
from uncnn.daemon.photos.pages import pages_of

PIXELS = np.ascontiguousarray(data.astronaut()[:300, 100:412])
KINDS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 64},
    "one strip": {"rowsperstrip": 300},
    "tiles": {"tile": (128, 128)},
    "fine colours": {"compressionargs": {"outcolorspace": "rgb"}, "rowsperstrip": 100},
}


def scan(kind: str = "strips", **more: Any) -> bytes:
    buffer = io.BytesIO()
    usual = {"photometric": "rgb", "compression": "jpeg", "resolution": (300, 300), "resolutionunit": "INCH"}
    tifffile.imwrite(buffer, PIXELS, **{**usual, **KINDS[kind], **more})
    return buffer.getvalue()


def libtiffs() -> bytes:
    return samples.saved(Image.fromarray(PIXELS), "TIFF", compression="jpeg", quality=80, dpi=(300, 300))


FILES = {
    **{kind: lambda kind=kind: scan(kind) for kind in KINDS},
    "grey": lambda: samples.saved(Image.fromarray(PIXELS).convert("L"), "TIFF", compression="jpeg", dpi=(300, 300)),
    "tables apart": libtiffs,
    "on its side": lambda: scan(extratags=[(274, 3, 1, 6, True)]),
}


@pytest.mark.parametrize("kind", FILES)
def test_without_a_change_every_pixel_stays(kind: str) -> None:
    content = FILES[kind]()
    photo = decode(content, "scan.tif")
    released = encode(photo, photo.pixels)
    assert released.notes == ()
    again = decode(released.data, "again")
    assert np.array_equal(again.pixels, photo.pixels)
    assert again.encoding == photo.encoding
    assert len(released.data) < 1.02 * len(content)
    opened = tifffile.TiffFile(io.BytesIO(released.data)).pages[0]
    assert np.array_equal(opened.asarray(), tifffile.TiffFile(io.BytesIO(content)).pages[0].asarray())


def test_with_a_change_it_is_said_that_all_is_compressed_anew() -> None:
    photo = decode(scan(), "scan.tif")
    changed = photo.pixels.copy()
    changed[64:128, 64:128] ^= 8
    released = encode(photo, changed)
    assert released.notes == (
        "the whole picture was compressed again: in a TIFF with JPEG compression, single faces cannot be replaced",
    )
    assert decode(released.data, "again").format == "TIFF"


def test_nothing_that_a_strip_says_beside_its_picture_comes_out() -> None:
    content = scan("one strip", description=SECRET.decode(), software=SECRET.decode())
    page = next(pages_of(content)).numbers
    (start,), (size,) = page[273], page[279]
    strip = content[start : start + size]
    comment = b"\xff\xfe" + (len(SECRET) + 2).to_bytes(2, "big") + SECRET
    thumbnail = b"\xff\xe0" + (len(SECRET) + 16).to_bytes(2, "big") + b"JFIF\0" + bytes(9) + SECRET
    planted = strip[:2] + thumbnail + comment + strip[2:] + SECRET
    moved = bytearray(content + planted)
    for tag, value in ((273, len(content)), (279, len(planted))):
        place = next(pages_of(content)).places[tag]
        moved[place] = value.to_bytes(place.stop - place.start, "little")
    assert bytes(moved).count(SECRET) >= 4
    photo = decode(bytes(moved), "scan.tif")
    for metadata in ("none", "all-but-location"):
        released = encode(photo, photo.pixels, metadata=metadata)  # type: ignore[arg-type]
        assert released.notes == ()
        assert SECRET not in released.data


def test_what_the_policy_allows_stays() -> None:
    exif = {0x0110: "NIKON Z 9"}
    content = samples.saved(
        Image.fromarray(PIXELS), "TIFF", compression="jpeg", tiffinfo=exif, icc_profile=samples.display_p3()
    )
    photo = decode(content, "scan.tif")
    released = encode(photo, photo.pixels, metadata="camera")
    assert released.notes == ()
    with Image.open(io.BytesIO(released.data)) as image:
        assert image.getexif()[0x0110] == "NIKON Z 9"
    assert decode(released.data, "again").profile == photo.profile is not None
    assert 0x0110 not in Image.open(io.BytesIO(encode(photo, photo.pixels).data)).getexif()


def test_a_chosen_quality_is_that_of_the_whole() -> None:
    photo = decode(scan(), "scan.tif")
    small, large = (len(encode(photo, photo.pixels, "TIFF", quality).data) for quality in (30, 90))
    assert 2 * small < large
