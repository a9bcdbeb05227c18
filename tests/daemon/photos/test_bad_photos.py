"""Files that are no photo to take: each one gives one clear line, and nothing else happens."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
import photo_samples as samples
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_samples import EVERY, picture, saved
from PIL import Image, TiffImagePlugin

from uncnn.daemon.photos import Photo, PhotoError, decode, encode

FORMATS = sorted(EVERY)


def refused(content: bytes, name: str = "holiday.jpg") -> PhotoError:
    with pytest.raises(PhotoError) as caught:
        decode(content, name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("holiday.jpg ")
    assert ": " in str(caught.value)  # the remedy
    return caught.value


def frames(photo_format: str) -> bytes:
    others = [picture().transpose(Image.Transpose.ROTATE_180), Image.new("RGB", (96, 64))]
    return saved(picture(), photo_format, save_all=True, append_images=others)


def huge_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    return png_of(chunks)


def huge_jpeg() -> bytes:
    content = saved(picture(), "JPEG")
    start = content.index(b"\xff\xc0") + 5
    return content[:start] + struct.pack(">HH", 60_000, 60_000) + content[start + 4 :]


def huge_webp() -> bytes:
    side = (16_383).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + side + side + b"VP8L" + struct.pack("<I", 4) + bytes(4)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def huge_tiff() -> bytes:
    content = bytearray(saved(picture(), "TIFF"))
    for tag in (256, 257):
        at = content.index(struct.pack("<HHI", tag, 4, 1)) if struct.pack("<HHI", tag, 4, 1) in content else 0
        at = at or content.index(struct.pack("<HHI", tag, 3, 1))
        content[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 60_000)
    return bytes(content)


def huge_bmp() -> bytes:
    content = saved(picture(), "BMP")
    return content[:18] + struct.pack("<ii", 60_000, 60_000) + content[26:]


def huge_boxes(photo_format: str) -> bytes:
    content = saved(picture(), photo_format)
    start = content.index(b"ispe") + 8
    return content[:start] + struct.pack(">II", 60_000, 60_000) + content[start + 8 :]


NOISY = ("tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate")


def tiff(compression: str) -> bytes:
    return saved(picture(), "TIFF", compression=compression)


def raw(tags: dict[int, int]) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
        info.tagtype[tag] = 4
    return saved(picture(), "TIFF", tiffinfo=info)


def deep(mode: str, photo_format: str) -> bytes:
    kind = {"I;16": np.uint16, "F": np.float32}[mode]
    return saved(Image.fromarray(np.zeros((8, 8), kind)), photo_format)


def cgbi() -> bytes:
    """Return a PNG as Xcode packs it: a chunk of its own before the header, pixels without the head of their stream."""
    pixels = zlib.compressobj(9, zlib.DEFLATED, -15)
    chunks = [
        (b"CgBI", b"\x50\0\x20\2"),
        (b"IHDR", struct.pack(">IIBBBBB", 96, 64, 8, 6, 0, 0, 0)),
        (b"IDAT", pixels.compress(bytes(64 * (1 + 96 * 4))) + pixels.flush()),
        (b"IEND", b""),
    ]
    return png_of(chunks)


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    whole = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + whole


def fine() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return np.asarray(picture()).astype(np.uint16) * 16


def packed_tiff(way: str) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.asarray(picture()), photometric="rgb", compression=way)
    return buffer.getvalue()


BAD = {
    "CgBI": (cgbi(), "unsupported", "a PNG as Xcode packs it for iPhones (CgBI)"),
    "PNG without a header at its start": (
        png_of([(b"gAMA", bytes(4)), (b"IEND", b"")]),
        "damaged",
        "that does not start with its header",
    ),
    "12 bits": (imagecodecs.jpeg8_encode(fine(), bitspersample=12), "unsupported", "12 bits per sample (as a JPEG)"),
    "lossless": (imagecodecs.jpeg8_encode(np.asarray(picture()), lossless=True), "unsupported", "is a lossless JPEG"),
    "JPEG-LS": (imagecodecs.jpegls_encode(np.asarray(picture())), "unsupported", "is a JPEG-LS"),
    "JPEG XR": (imagecodecs.jpegxr_encode(np.asarray(picture())), "unsupported", "is a JPEG XR"),
    "JPEG 2000": (imagecodecs.jpeg2k_encode(fine(), codecformat="j2k"), "unsupported", "is a JPEG 2000"),
    "TIFF of JPEG 2000": (packed_tiff("jpeg2000"), "unsupported", "a TIFF with the compression JPEG 2000"),
    "TIFF of JPEG XL": (packed_tiff("jpegxl"), "unsupported", "a TIFF with the compression JPEG XL"),
    "nothing": (b"", "empty", "is empty (0 bytes)"),
    "text": (b"Dear diary, today", "not-a-photo", "is not a photo (it starts with 'Dear dia')"),
    "BM in a text": (b"BMW is a maker of cars" * 9, "not-a-photo", "is not a photo"),
    "two bytes": (b"\xff\xd8", "not-a-photo", "is not a photo (it starts with ff d8)"),
    "video": (b"\0\0\0\x18ftypisom" + bytes(40), "not-a-photo", "(a file of type 'isom')"),
    "Canon RAW": (b"\0\0\0\x18ftypcrx " + bytes(40), "unsupported", "RAW file (Canon)"),
    "Fujifilm RAW": (b"FUJIFILMCCD-RAW 0201", "unsupported", "RAW file (Fujifilm)"),
    "Canon RAW 2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(40), "unsupported", "RAW file"),
    "DNG": (raw({50706: 1}), "unsupported", "RAW file"),
    "preview of a RAW": (raw({254: 1, 330: 8}), "unsupported", "RAW file"),
    "sensor data": (raw({262: 32803}), "unsupported", "RAW file"),
    "moving GIF": (frames("GIF"), "animated", "holds 3 pictures"),
    "JPEG XL": (b"\xff\x0a" + bytes(40), "unsupported", "is a JPEG XL"),
    "moving PNG": (frames("PNG"), "animated", "holds 3 pictures"),
    "moving WebP": (frames("WEBP"), "animated", "holds 3 pictures"),
    "moving AVIF": (frames("AVIF"), "animated", "image sequence"),
    "several HEIC": (frames("HEIF"), "animated", "holds 3 pictures"),
    "pages": (frames("TIFF"), "animated", "more than one page"),
    "float TIFF": (deep("F", "TIFF"), "unsupported", "32-bit floating-point samples"),
    "colours of a printer's": (saved(picture().convert("LAB"), "TIFF"), "unsupported", "colour mode LAB"),
    "huge PNG": (huge_png(60_000, 60_000), "too-large", "60000 x 60000 pixels (3600 megapixels), the limit is 200"),
    "large PNG": (huge_png(15_000, 15_000), "too-large", "225 megapixels"),
    "huge JPEG": (huge_jpeg(), "too-large", "60000 x 60000"),
    "huge WebP": (huge_webp(), "too-large", "16384 x 16384"),
    "huge TIFF": (huge_tiff(), "too-large", "60000 x 60000"),
    "huge BMP": (huge_bmp(), "too-large", "60000 x 60000"),
    "cut TIFF": (b"II*\0\x08\0\0\0", "truncated", "copy it again"),
    "TIFF of nothing": (b"II*\0\0\0\0\0" + bytes(9), "damaged", "without a page"),
    "noise after a JPEG's start": (
        b"\xff\xd8\xff\xda\0\x0c" + b"noise" * 40 + b"\xff\xd9",
        "damaged",
        "export it again",
    ),
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_a_bad_file_is_one_clear_line(what: str) -> None:
    content, kind, words = BAD[what]
    error = refused(content)
    assert error.kind == kind, error
    assert words in str(error)


def with_chunk(name: bytes, content: bytes, right: bool = True) -> bytes:
    """Return a PNG with one more chunk before its pixels."""
    plain = saved(picture(), "PNG")
    checksum = zlib.crc32(name + content) ^ (not right)
    return plain[:33] + struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum) + plain[33:]


WORDS = np.random.default_rng(1).integers(32, 126, 3 << 20, dtype=np.uint8).tobytes()
THROWN_AWAY = {
    "zTXt of 3 MB": with_chunk(b"zTXt", b"prompt\0\0" + zlib.compress(WORDS)),
    "iTXt of 3 MB": with_chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(WORDS)),
    "zTXt that is not packed": with_chunk(b"zTXt", b"prompt\0\0" + b"no stream"),
    "zTXt packed in another way": with_chunk(b"zTXt", b"prompt\0\7" + b"no stream"),
    "tEXt with a wrong sum": with_chunk(b"tEXt", b"a\0b", right=False),
    "a resolution of three bytes": with_chunk(b"pHYs", b"abc"),
    "a resolution with a wrong sum": with_chunk(b"pHYs", bytes(9), right=False),
    "a gamma of one byte": with_chunk(b"gAMA", b"a"),
    "primaries of three bytes": with_chunk(b"cHRM", b"abc"),
    "sRGB of none": with_chunk(b"sRGB", b""),
    "EXIF of none": with_chunk(b"eXIf", b""),
    "transparency of none": with_chunk(b"tRNS", b""),
    "a chunk of its own": with_chunk(b"prVt", WORDS),
}


@pytest.mark.parametrize("what", THROWN_AWAY)
def test_what_is_thrown_away_makes_no_png_unreadable(what: str) -> None:
    photo = decode(THROWN_AWAY[what], "holiday.png")
    assert np.array_equal(photo.pixels, np.asarray(picture()))
    assert photo.notes == ()
    assert len(encode(photo, photo.pixels).data) < 20_000


def with_segment(marker: int, content: bytes) -> bytes:
    """Return a JPEG with one more segment at its start."""
    plain = saved(picture(), "JPEG")
    return plain[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + plain[2:]


def with_extension(content: bytes) -> bytes:
    """Return a GIF with one more extension before its picture."""
    plain = saved(picture().convert("P"), "GIF")
    at = 13 + (3 << (plain[10] & 7) + 1)
    return plain[:at] + b"\x21" + content + plain[at:]


def with_tag(tag: int, kind: int, count: int, value: bytes) -> bytes:
    """Return a TIFF with one more tag, in place of one of the same number."""
    plain = saved(picture(), "TIFF", compression="tiff_lzw")
    (first,) = struct.unpack_from("<I", plain, 4)
    (number,) = struct.unpack_from("<H", plain, first)
    table = [plain[at : at + 12] for at in range(first + 2, first + 2 + 12 * number, 12)]
    table = [entry for entry in table if entry[:2] != struct.pack("<H", tag)]
    table.append(struct.pack("<HHI", tag, kind, count) + value)
    table.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    start = len(plain) + len(plain) % 2
    page = struct.pack("<H", len(table)) + b"".join(table) + bytes(4)
    return plain[:4] + struct.pack("<I", start) + plain[8:] + bytes(len(plain) % 2) + page


ASIDE = {
    "JPEG: JFIF of nothing": with_segment(0xE0, b"JFIF\0"),
    "JPEG: Adobe of nothing": with_segment(0xEE, b"Adobe"),
    "JPEG: profile of nothing": with_segment(0xE2, b"ICC_PROFILE\0\1"),
    "JPEG: EXIF of nothing": with_segment(0xE1, b"Exif\0\0"),
    "JPEG: index of pictures of nothing": with_segment(0xE2, b"MPF\0II*\0"),
    "JPEG: Photoshop's of nothing": with_segment(0xED, b"Photoshop 3.0\x008BIM\3\xed\0\0\0\0\0\x10"),
    "GIF: application of nothing": with_extension(b"\xff\0"),
    "GIF: loop of nothing": with_extension(b"\xff\x0bNETSCAPE2.0\0"),
    "GIF: control of nothing": with_extension(b"\xf9\0"),
    "GIF: control of one byte": with_extension(b"\xf9\1a\0"),
    "TIFF: name of a kind that is none": with_tag(270, 12, 4, b"\x10\0\0\0"),
    "TIFF: orientation of rationals": with_tag(274, 5, 4, b"\x10\0\0\0"),
    "TIFF: XMP behind the end": with_tag(700, 1, 70_000, b"\xff\xff\xff\x7f"),
    "TIFF: position nowhere": with_tag(34853, 4, 1, b"\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("what", ASIDE)
def test_what_stands_beside_a_picture_makes_no_file_unreadable(what: str) -> None:
    photo = decode(ASIDE[what], "holiday")
    assert photo.format == what.split(":", maxsplit=1)[0]
    assert photo.pixels.shape == (64, 96, 3)
    for metadata in ("none", "all-but-location"):
        encode(photo, photo.pixels, metadata=metadata)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"printer\0\0" + zlib.compress(samples.display_p3() + WORDS), False),
        (b"printer\0\0" + zlib.compress(bytes(20 << 20)), True),
        (b"printer\0\7" + b"no stream", True),
        (b"no end of its name", True),
    ],
)
def test_a_large_profile_is_read_and_a_broken_one_is_said(content: bytes, note: bool) -> None:
    photo = decode(with_chunk(b"iCCP", content), "print.png")
    assert photo.notes == (("its colour profile is damaged and was ignored",) if note else ())
    assert (photo.profile is None) == note


@pytest.mark.parametrize("photo_format", ["HEIF", "AVIF"])
def test_a_header_that_lies_about_its_size_is_refused(photo_format: str) -> None:
    assert refused(huge_boxes(photo_format)).kind in ("too-large", "damaged")


@pytest.mark.parametrize("photo_format", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_cut_short_is_said_to_be(photo_format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise), photo_format, **EVERY[photo_format])
    error = refused(content[: int(len(content) * share)])
    assert error.kind == "truncated", error
    assert "copy it again" in str(error)


def test_the_limit_may_be_lower() -> None:
    content = saved(picture(), "PNG")
    assert decode(content, "a", pixel_limit=96 * 64).pixels.shape == (64, 96, 3)
    with pytest.raises(PhotoError, match="96 x 64") as caught:
        decode(content, "a", pixel_limit=96 * 64 - 1)
    assert caught.value.kind == "too-large"


def test_a_name_cannot_write_on_the_terminal() -> None:
    with pytest.raises(PhotoError) as caught:
        decode(b"", "a\x1b[2J\n\udcff.jpg")
    assert str(caught.value).startswith(r"a\x1b[2J\n\udcff.jpg is empty")


def test_a_page_that_is_a_preview_is_left_out() -> None:
    content = bytearray(saved(picture(), "TIFF"))
    small = TiffImagePlugin.ImageFileDirectory_v2()
    small[254] = 1
    content += bytes(len(content) % 2)
    entries = b"\x01\0" + struct.pack("<HHII", 254, 4, 1, 1) + bytes(4)
    first = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * count, len(content))
    assert np.array_equal(decode(bytes(content) + entries, "scan.tif").pixels, np.asarray(picture()))


def test_nothing_is_written_to_the_terminal() -> None:
    program = (
        "import os, sys; sys.path[:0] = sys.argv[1].split(os.pathsep)\n"
        "import test_bad_photos as bad\n"
        "from uncnn.daemon.photos import decode, PhotoError\n"
        "noisy = [bytes([*tiff[:20], *[255] * 40, *tiff[60:]]) for tiff in map(bad.tiff, bad.NOISY)]\n"
        "for content in [*noisy, *(entry[0] for entry in bad.BAD.values())]:\n"
        "    try: decode(content, 'a')\n"
        "    except PhotoError: pass\n"
    )
    here = os.pathsep.join([str(Path(__file__).parent), samples.__file__.rpartition("/")[0]])
    done = subprocess.run([sys.executable, "-W", "default", "-c", program, here], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@cache
def originals() -> list[bytes]:
    small = picture(48, 32)
    plain = [saved(small, name, **EVERY[name]) for name in FORMATS]
    return [*plain, *map(samples.with_secrets, FORMATS), saved(small, "PNG", icc_profile=samples.display_p3())]


@pytest.mark.filterwarnings("ignore::UserWarning")  # pytest shows what the module keeps from a terminal
@settings(max_examples=400, derandomize=True, database=None)
@given(st.data())
def test_a_damaged_file_is_a_photo_or_one_line(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(originals())))
    for _ in range(data.draw(st.integers(0, 8))):
        # headers and tables, where damage hurts most, lie at the start
        at = data.draw(st.integers(0, min(len(content), 700) - 1) | st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(content)))
    found = outcome(bytes(content[:cut]))
    if isinstance(found, PhotoError):
        assert "\n" not in str(found)
        assert len(str(found)) < 300
    else:
        assert found.pixels.dtype == np.uint8
        assert found.pixels.shape[2] == 3
        assert found.alpha is None or found.alpha.shape == found.pixels.shape[:2]


def outcome(content: bytes) -> Photo | PhotoError:
    try:
        return decode(content, "damaged.jpg", pixel_limit=1_000_000)
    except PhotoError as error:
        return error
