"""Headers that lie: of the size of a picture, of how often it is drawn, of strips that are not there."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import photo_samples as samples
import pytest
from lying import resized
from originals import MAKERS, chunk, originals
from photo_samples import picture, saved, segment
from tiff_pages import entries, looped

from uncnn.daemon.photos import PhotoError, decode, encode
from uncnn.daemon.photos.sizes import MOST_SCANS, MOST_SEGMENTS

MEGABYTES = 24
"""What refusing may take: what is read of a file, and a library that is loaded for it."""

MEASURING = """
import json, resource, sys
sys.path[:0] = sys.argv[1:]
from lying import resized
from originals import originals
from photo_samples import picture
from uncnn.daemon.photos import PhotoError, decode
def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
found = {}
for kind, data in originals(picture()).items():
    decode(data, "photo")
    before = most()
    try:
        decode(resized(data, kind.split()[0], 60_000, 60_000), "photo")
        found[kind] = ["taken", "", most() - before]
    except PhotoError as error:
        found[kind] = [error.kind, str(error), most() - before]
print(json.dumps(found))
"""


def test_a_size_beyond_the_limit_is_refused_from_the_header_alone() -> None:
    folders = [str(Path(__file__).parent), str(Path(samples.__file__).parent)]
    done = subprocess.run([sys.executable, "-c", MEASURING, *folders], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert set(found) == set(MAKERS)
    wrong = {kind: each for kind, each in found.items() if each[0] != "too-large" or each[2] > MEGABYTES}
    assert not wrong


@pytest.mark.parametrize("kind", ["WEBP lossy", "WEBP lossless", "WEBP alpha"])
def test_a_webp_is_measured_before_its_canvas_is_made(kind: str) -> None:
    with pytest.raises(PhotoError, match=r"(16383 x 16383|16384 x 16384|60000 x 60000) pixels"):
        decode(resized(MAKERS[kind](picture()), "WEBP", 60_000, 60_000), "photo")
    assert decode(MAKERS[kind](picture()), "photo", pixel_limit=96 * 64).pixels.shape == (64, 96, 3)
    with pytest.raises(PhotoError, match="96 x 64"):
        decode(MAKERS[kind](picture()), "photo", pixel_limit=96 * 64 - 1)


def test_a_frame_of_a_gif_counts_as_much_as_its_screen() -> None:
    data = bytearray(MAKERS["GIF"](picture()))
    struct.pack_into("<HH", data, data.index(b",\0\0\0\0") + 5, 60_000, 60_000)
    with pytest.raises(PhotoError) as caught:
        decode(bytes(data), "photo")
    assert caught.value.kind == "too-large"


def test_a_jpeg_that_is_drawn_without_end_is_refused() -> None:
    data = saved(picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    most = MOST_SCANS - data.count(b"\xff\xda")
    assert decode(data[:last] + data[last:-2] * (1 + most) + data[-2:], "photo").pixels.shape == (64, 96, 3)
    with pytest.raises(PhotoError, match=f"more than {MOST_SCANS} scans") as caught:
        decode(data[:last] + data[last:-2] * (2 + most) + data[-2:], "photo")
    assert caught.value.kind == "damaged"


def test_a_jpeg_that_says_things_without_end_is_refused() -> None:
    data = saved(picture(), "JPEG")
    with pytest.raises(PhotoError, match=f"{MOST_SEGMENTS} segments"):
        decode(data[:2] + segment(0xFE, b"") * MOST_SEGMENTS + data[2:], "photo")


def test_scans_in_a_thumbnail_or_behind_the_picture_do_not_count() -> None:
    data = saved(picture(), "JPEG")
    many = b"\xff\xda" * (2 * MOST_SCANS)
    assert decode(data[:2] + segment(0xE1, many) + data[2:] + many, "photo").pixels.shape == (64, 96, 3)


@pytest.mark.parametrize("tag", [273, 279])  # StripOffsets, StripByteCounts
@pytest.mark.parametrize("value", [0, 1 << 30])
def test_a_deep_tiff_without_one_of_its_strips_is_refused(tag: int, value: int) -> None:
    data = bytearray(MAKERS["TIFF 16 bits 3 lzw"](picture()))
    entry = next(at for at, _, own in entries(bytes(data)) if own == tag)
    struct.pack_into("<I", data, struct.unpack_from("<I", data, entry + 8)[0], value)
    with pytest.raises(PhotoError, match="copy it again") as caught:
        decode(bytes(data), "photo")
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize(
    ("tag", "value", "kind"),
    [(277, 60_000, "unsupported"), (32997, 9, "damaged"), (259, 34712, "unsupported"), (338, 3, "unsupported")],
)
def test_a_deep_tiff_is_understood_before_it_is_read(tag: int, value: int, kind: str) -> None:
    data = bytearray(MAKERS["TIFF 16 bits 3 raw"](picture()))
    spare = 305 if tag in (32997, 338) else tag  # in place of Software
    entry = next(at for at, _, own in entries(bytes(data)) if own == spare)
    struct.pack_into("<HHIHH", data, entry, tag, 3, 1, value, 0)
    with pytest.raises(PhotoError) as caught:
        decode(bytes(data), "photo")
    assert caught.value.kind == kind


@pytest.mark.parametrize("kind", ["BMP palette", "GIF", "PNG palette 4", "TIFF palette"])
def test_a_colour_that_a_palette_does_not_have_is_black_and_stays_so(kind: str) -> None:
    data = MAKERS[kind](picture())
    if kind == "PNG palette 4":
        at = data.index(b"PLTE")
        data = data[: at - 4] + chunk(b"PLTE", data[at + 4 : at + 10]) + data[at + 4 + 48 + 4 :]
    before = decode(data, "photo")
    wanted = before.pixels.copy()
    wanted[20:40, 20:40] += 9
    after = decode(encode(before, wanted).data, "photo").pixels
    assert after.shape == wanted.shape
    assert np.array_equal(after[50:], before.pixels[50:])


def test_a_loop_of_pages_ends() -> None:
    for kind, data in originals(picture()).items():
        if kind.startswith("TIFF"):
            with pytest.raises(PhotoError, match="more than one page"):
                decode(looped(data), "photo")


@pytest.mark.parametrize("kind", ["PNG RGB", "PNG 16 bits 3"])
def test_a_profile_that_swells_is_left_out_and_said(kind: str) -> None:
    swelling = chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(64 << 20), 9))
    data = MAKERS[kind](picture())
    photo = decode(data[:33] + swelling + data[33:], "photo")
    assert np.array_equal(photo.pixels, decode(data, "photo").pixels)
    assert any("profile" in note for note in photo.notes), photo.notes


@pytest.mark.parametrize(
    ("kind", "tag", "value", "words"),
    [
        ("TIFF 16 bits 3 lzw", 278, 0, "the file is inconsistent"),  # RowsPerStrip
        ("TIFF 16 bits 3 lzw", 259, 8, "its compressed data is damaged"),  # Compression
        ("TIFF tiff_lzw", 259, 8, "its compressed data is damaged"),
    ],
)
def test_the_reason_is_in_words_of_people(kind: str, tag: int, value: int, words: str) -> None:
    data = bytearray(MAKERS[kind](picture()))
    entry = next(at for at, _, own in entries(bytes(data)) if own == tag)
    struct.pack_into("<HHIHH", data, entry, tag, 3, 1, value, 0)
    with pytest.raises(PhotoError) as caught:
        decode(bytes(data), "photo")
    assert str(caught.value) == f"photo cannot be read as TIFF ({words}): export it again"
