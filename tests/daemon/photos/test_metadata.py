"""Value by value: what a field that is allowed may hold, in EXIF, in colour profiles and in palettes."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Any

import imagecodecs
import numpy as np
import photo_samples as samples
import pytest
import secret_bytes
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from uncnn.daemon.photos import decode, encode
from uncnn.daemon.photos.metadata import EXIF_PAGE, kept
from uncnn.daemon.photos.profile_tags import bare
from uncnn.daemon.photos.profiles import clean_profile
from uncnn.daemon.photos.tiff import with_exif_page

_MODEL, _LENS_MODEL, _DATE, _TAKEN = 0x0110, 0xA434, 0x0132, 0x9003
_EXPOSURE, _ISO, _LENS = 0x829A, 0x8827, 0xA432
_NO_NAMES = (
    *("<b>Camera</b>", "Jane's camera", "jane@example.org", "Камера", "Camera \u202eeman", "Camera\nJane", "a" * 49),
    *("Serial 3152033478", "356938035643809", "0f8fad5bd9cb469fa165", "٣٤٥", "", "\0", "Canon\0Jane"),
)


def written(tag: int, value: Any) -> Any:
    """Return what is kept of a value under the policy that keeps most; None: nothing."""
    exif = Image.Exif()
    if tag in (_MODEL, _DATE):
        exif[tag] = value
        return kept(exif, "all-but-location").get(tag)
    exif.get_ifd(EXIF_PAGE)[tag] = value
    return kept(exif, "all-but-location").get_ifd(EXIF_PAGE).get(tag)


@pytest.mark.parametrize("tag", [_MODEL, _LENS_MODEL])
@pytest.mark.parametrize(
    "value",
    [*_NO_NAMES, (21313, 16717, 16717), b"Canon", 7, None, ("Canon", "Jane")],
)
def test_a_model_is_a_short_plain_name(tag: int, value: Any) -> None:
    assert written(tag, value) is None


@pytest.mark.parametrize(
    "value",
    [
        *("NIKON Z 9", "Canon EOS-1D X Mark III", "22081212UG", "EF70-200mm f/2.8L IS II USM"),
        "iPhone 15 Pro Max back triple camera 6.765mm",
    ],
)
def test_names_of_cameras_and_lenses_stay(value: str) -> None:
    assert written(_MODEL, value) == written(_LENS_MODEL, value + "\0\0") == value


LENSES = (
    "iPhone 16 Pro Max back triple camera 6.765mm f/1.78",
    "iPhone 15 Pro Max back triple camera 6.765mm f/1.78",
    "iPhone 13 mini front TrueDepth camera 2.71mm f/2.2",
    "iPad Pro (11-inch) (2nd generation) back dual wide camera 3mm f/1.8",
    "Pixel 9 Pro XL back camera 6.9mm f/1.68",
    "Tamron AF 18-270mm f/3.5-6.3 Di II VC LD Aspherical (IF) Macro (B003)",
    "Tamron AF 28-200mm Super Zoom F3.8-5.6 Aspherical XR [IF] Macro (A03)",
    "smc PENTAX-DA* 16-50mm F2.8 ED AL [IF] SDM",
    "Sigma 24-70mm F2.8 DG DN | A",
    "100-400mm F5-6.3 DG DN OS | Contemporary 020",
    "Carl Zeiss Vario-Sonnar T* 16-35mm F2.8 ZA SSM (SAL1635Z)",
    "LUMIX G VARIO 12-60/F3.5-5.6",
    "XF16-55mmF2.8 R LM WR",
    "NIKKOR Z 24-70mm f/2.8 S",
    "RF24-105mm F4 L IS USM",
    "OLYMPUS M.12-40mm F2.8",
    "E 35mm F1.8 OSS",
    "Summilux-M 1:1.4/50 ASPH.",
)
"""Public facts: names as exiftool's tables and phones have them."""


@pytest.mark.parametrize("value", LENSES)
def test_names_that_lenses_have_stay(value: str) -> None:
    assert written(_LENS_MODEL, value) == value


@pytest.mark.parametrize(
    "value",
    [
        "Property of Jane Doe",
        "shot by Jane Doe in Berlin with a 50mm f/1.8",
        "JANE DOE, 12 ELM STREET, SPRINGFIELD, PHONE 555 0199, REWARD",
        "50mm f/1.8 " + "A" * 80,
        "50mm f/1.8 serial 3152033478",
        "50mm f/1.8 <b>",
        "50mm f/1.8 Jane's",
        "50mm f/1.8\njane",
    ],
)
def test_a_text_is_no_name_of_a_lens(value: str) -> None:
    assert written(_LENS_MODEL, value) is None


@pytest.mark.parametrize("tag", [_DATE, _TAKEN])
def test_a_date_is_a_date(tag: int) -> None:
    assert written(tag, "2024:02:29 23:59:59") == "2024:02:29 23:59:59"
    for value in ("2023:02:29 23:59:59", "2024:01:01", "2024:01:01 00:00:00+05:45", "٢٠٢٤:٠١:٠١ ٠٠:٠٠:٠٠x", 2024, None):
        assert written(tag, value) is None


def test_a_ratio_is_a_number_and_not_two() -> None:
    spelt = IFDRational(struct.unpack(">I", b"Jane")[0], struct.unpack(">I", b"Doe!")[0])
    value = written(_EXPOSURE, spelt)
    assert float(value) == pytest.approx(float(spelt), abs=1e-5)
    assert value.denominator <= 100_000
    assert written(_EXPOSURE, IFDRational(1, 32_000)) == Fraction(1, 32_000)
    assert written(_EXPOSURE, IFDRational(1, 0)) is None
    assert written(_EXPOSURE, "Jane") is None
    assert written(_EXPOSURE, 1e7) is None
    lens = (IFDRational(24), IFDRational(70), IFDRational(28, 10), IFDRational(0, 0))
    found = written(_LENS, lens)
    assert [float(each) for each in found[:3]] == [24, 70, 2.8]
    assert float(found[3]) == 0
    assert written(_LENS, lens[:3]) is None
    assert written(_ISO, 400) == written(_ISO, (400, 400)) == 400
    assert written(_ISO, 70_000) is None


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "16 bits"])
def test_a_tiff_keeps_what_is_allowed_in_a_page_of_its_own(compression: str) -> None:
    exif = Image.Exif()
    exif[_MODEL] = "NIKON Z 9"
    exif.get_ifd(EXIF_PAGE).update({_EXPOSURE: IFDRational(1, 250), _TAKEN: "2024:02:29 23:59:59", 0x927C: b"Jane Doe"})
    if compression == "16 bits":
        deep = imagecodecs.png_encode(np.asarray(samples.picture()).astype(np.uint16) * 257)
        photo = decode(deep[:33] + secret_bytes.chunks([(b"eXIf", exif.tobytes()[6:])]) + deep[33:], "a.png")
    else:
        tags = {_MODEL: "NIKON Z 9"}
        plain = samples.saved(samples.picture(), "TIFF", compression=compression, tiffinfo=tags)
        photo = decode(with_exif_page(plain, exif.get_ifd(EXIF_PAGE)), "a.tif")
        assert b"Jane Doe" in photo.source
    released = encode(photo, photo.pixels, "TIFF", metadata="all-but-location").data
    told = Image.open(io.BytesIO(released)).getexif()
    assert told[_MODEL] == "NIKON Z 9"
    assert dict(told.get_ifd(EXIF_PAGE)) == {_EXPOSURE: IFDRational(1, 250), _TAKEN: "2024:02:29 23:59:59"}
    assert b"Jane Doe" not in released


def lut_profile(gap: bytes) -> bytes:
    """Return an RGB profile by lutAToBType (10.12) with every element, and a gap between each."""
    curves = b"".join(
        b"para" + gap[:4] + b"\0\0" + gap[:2] + struct.pack(">i", round(gamma * 65536)) for gamma in (1, 1, 1)
    )
    ramp = b"curv" + gap[:4] + struct.pack(">I3H", 3, 0, 20_000, 65535) + gap[:2]
    matrix = struct.pack(">12i", *(round(65536 * value) for value in (1, 0, 0, 0, 0.9, 0, 0, 0, 0.8, 0, 0.02, 0)))
    lattice = bytearray(b"\2\2\2" + bytes(13) + b"\1" + gap[:3])
    for corner in range(8):
        lattice += bytes((255 * (corner >> 2), 200 * (corner >> 1 & 1), 180 * (corner & 1)))
    parts, places, body = (curves, matrix, curves, bytes(lattice), ramp * 3), [], b""
    for part in parts:
        places.append(32 + len(body))
        body += part + gap
    tag = b"mAB " + gap[:4] + b"\3\3" + gap[:2] + struct.pack(">5I", *places) + body
    white = b"XYZ " + gap[:4] + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D) + gap
    header = bytearray(128)
    header[8:12], header[12:24], header[36:40] = b"\x04\x30\0\0", b"mntrRGB Lab ", b"acsp"
    header[68:80] = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    return samples.profile_with([(b"A2B0", tag), (b"wtpt", white)], bytes(header))


def in_srgb(profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(samples.picture(), source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert shown is not None
    return shown


def test_a_profile_by_tables_shows_the_same_colours_without_its_gaps() -> None:
    secret = b"Jane Doe was here 12345!"
    profile = lut_profile(secret)
    cleaned = clean_profile(profile)
    assert secret in profile
    assert b"Jane" not in cleaned
    assert np.array_equal(np.asarray(in_srgb(cleaned)), np.asarray(in_srgb(profile)))
    assert np.array_equal(np.asarray(in_srgb(cleaned)), np.asarray(in_srgb(lut_profile(bytes(24)))))
    assert not np.array_equal(np.asarray(in_srgb(cleaned)), np.asarray(samples.picture()))
    assert clean_profile(cleaned) == cleaned


@pytest.mark.parametrize(
    "content",
    [
        b"XYZ \0\0\0\0Jane Doe Jan",
        b"sf32\0\0\0\0" + b"Jane" * 9,
        b"para\0\0\0\0\0\0\0\0Jane",
        b"para\0\0\0\0\0\x09\0\0\0\1\0\0",
        b"curv\0\0\0\0\0\0\xff\xff\0\0",
        b"mft1\0\0\0\0\xff\xff\xff\0" + bytes(64),
        b"mAB \0\0\0\0\3\3\0\0" + b"\0\0\0\4" * 5,
        *(b"text\0\0\0\0Jane", b"XYZ ", b""),
    ],
)
def test_a_tag_of_a_profile_that_is_no_colour_is_dropped(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"tag|number|curve"):
        bare(content)


def test_a_profile_says_nothing_of_its_maker_or_device() -> None:
    profile = bytearray(samples.display_p3())
    for start, stop in ((4, 8), (10, 12), (40, 67), (80, 128)):
        profile[start:stop] = b"J" * (stop - start)
    cleaned = clean_profile(bytes(profile))
    assert b"JJ" not in cleaned
    assert cleaned == clean_profile(samples.display_p3())


@pytest.mark.parametrize(
    ("name", "content", "stays"),
    [
        (b"gAMA", struct.pack(">I", 100_000), True),
        (b"gAMA", b"Jane", False),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000), True),
        (b"cHRM", b"Jane" * 8, False),
        (b"cICP", bytes((12, 13, 0, 1)), True),
        (b"cICP", b"Jane", False),
    ],
)
def test_a_png_without_a_profile_keeps_numbers_of_colour_alone(name: bytes, content: bytes, stays: bool) -> None:
    plain = samples.saved(samples.picture(), "PNG")
    photo = decode(plain[:33] + secret_bytes.chunks([(name, content)]) + plain[33:], "a.png")
    assert (name + content in encode(photo, photo.pixels).data) == stays
