"""Small photos in every format and kind that is read, for the mutations to start from."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import imagecodecs
import jpeglib
import numpy as np
import photo_samples as samples
import pillow_heif
import tifffile
from photo_samples import saved
from PIL import Image

pillow_heif.register_heif_opener()

Maker = Callable[[Image.Image], bytes]
JPEG_SOS = b"\xff\xda"


def originals(photo: Image.Image, rare: bool = False) -> dict[str, bytes]:
    """Return files of `photo`, RGB, by their kind, whose first word is the format as `daemon.photos` names it.

    The `rare` ones are hardly written by anybody, or refused as they are: of several frames or pages.
    """
    return {kind: make(photo) for kind, make in (MAKERS | RARE if rare else MAKERS).items()}


def _pillow(photo_format: str, mode: str = "RGB", **options: Any) -> Maker:
    return lambda photo: saved(photo.convert(mode), photo_format, **options)


def _ycck(photo: Image.Image) -> bytes:
    inks = 255 - np.asarray(photo.convert("CMYK"))  # Adobe stores what is left of the light
    return bytes(imagecodecs.jpeg8_encode(inks, level=85, colorspace="CMYK", outcolorspace="YCCK"))


def _adobe_rgb(photo: Image.Image) -> bytes:
    """Return a JPEG in RGB whose components have the numbers of YCbCr, so that Adobe's segment alone tells."""
    data = saved(photo, "JPEG", keep_rgb=True)
    for old, new in zip(b"RGB", b"\1\2\3", strict=True):
        data = data.replace(bytes((old, 0x11, 0)), bytes((new, 0x11, 0))).replace(bytes((old, 0)), bytes((new, 0)), 1)
    return data


def _arithmetic(photo: Image.Image) -> bytes:
    """Return a JPEG in arithmetic code."""
    with tempfile.TemporaryDirectory() as folder:
        plain, coded = Path(folder, "plain.jpg"), Path(folder, "coded.jpg")
        plain.write_bytes(saved(photo, "JPEG"))
        jpeglib.version.set("turbo210")
        jpeglib.read_dct(str(plain)).write_dct(str(coded), flags=["+ARITH_CODE"])
        return coded.read_bytes()


def _run_lengths(photo: Image.Image) -> bytes:
    """Return a BMP of runs of a colour, which Pillow reads and does not write."""
    indexed = photo.quantize(100)
    colours = b"".join(bytes((blue, green, red, 0)) for red, green, blue in np.reshape(indexed.getpalette(), (-1, 3)))
    rows = b"".join(b"".join(bytes((1, index)) for index in row) + b"\0\0" for row in np.asarray(indexed)[::-1])
    start, body = 54 + len(colours), rows + b"\0\1"
    sizes = struct.pack("<IiiHHIIiiII", 40, *photo.size, 1, 8, 1, len(body), 2835, 2835, len(colours) // 4, 0)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + sizes + colours + body


def _frames(photo_format: str) -> Maker:
    return lambda photo: saved(photo, photo_format, save_all=True, append_images=[photo.rotate(90), photo.rotate(180)])


def _two_scans(photo: Image.Image) -> bytes:
    """Return a JPEG with an EXIF thumbnail, as cameras write it: a file in the file."""
    thumbnail = saved(photo.resize((40, 30)), "JPEG")
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\x0e\0\0\0\2\0" + struct.pack("<HHIIHHII", 0x201, 4, 1, 44, 0x202, 4, 1, 0)
    plain = saved(photo, "JPEG")
    return plain[:2] + samples.segment(0xE1, exif + bytes(8) + thumbnail) + plain[2:]


def _two_pictures(photo: Image.Image) -> bytes:
    return saved(photo, "MPO", save_all=True, append_images=[photo.rotate(180)])


def _clear(photo: Image.Image) -> Image.Image:
    faded = photo.convert("RGBA")
    faded.putalpha(photo.convert("L").point(lambda level: 255 if level > 60 else level))
    return faded


def _deep(photo: Image.Image, channels: int = 3) -> Any:
    pixels = np.asarray(photo.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels])).astype(np.uint16)
    return pixels * 257 + np.uint16(channels)


def _deep_png(channels: int) -> Maker:
    return lambda photo: bytes(imagecodecs.png_encode(_deep(photo, channels)))


def _interlaced(photo: Image.Image) -> bytes:
    """Return a PNG in the seven passes of Adam7, which Pillow reads and does not write."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    pixels = np.asarray(photo)
    rows = b"".join(b"\0" + row.tobytes() for x, y, right, down in passes for row in pixels[y::down, x::right])
    header = struct.pack(">IIBBBBB", *photo.size, 8, 2, 0, 0, 1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, content) for name, content in chunks)


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _tifffile(channels: int = 3, deep: bool = True, **options: Any) -> Maker:
    def make(photo: Image.Image) -> bytes:
        pixels = _deep(photo, channels) if deep else np.asarray(photo)
        buffer = io.BytesIO()
        if options.get("planarconfig") == "separate":
            pixels = np.moveaxis(pixels, -1, 0)
        tifffile.imwrite(buffer, pixels, photometric="rgb" if channels >= 3 else "minisblack", **options)
        return buffer.getvalue()

    return make


def _with_exif(photo_format: str, **options: Any) -> Maker:
    return lambda photo: saved(photo, photo_format, exif=samples.secret_exif().tobytes(), **options)


def _with_profile(photo_format: str, mode: str = "RGB") -> Maker:
    make = {"RGB": samples.display_p3, "L": samples.dark_grey, "CMYK": samples.ink}[mode]
    return lambda photo: saved(photo.convert(mode), photo_format, icc_profile=make())


MAKERS: dict[str, Maker] = {
    **{f"JPEG {way}": _pillow("JPEG", subsampling=way) for way in ("4:4:4", "4:2:2", "4:2:0", "4:1:1")},
    "JPEG progressive": _pillow("JPEG", progressive=True, subsampling="4:2:0"),
    "JPEG restarts": _pillow("JPEG", restart_marker_blocks=3, subsampling="4:2:0"),
    "JPEG grey": _pillow("JPEG", "L"),
    "JPEG CMYK": _pillow("JPEG", "CMYK"),
    "JPEG RGB": _pillow("JPEG", keep_rgb=True),
    "JPEG Adobe RGB": _adobe_rgb,
    "JPEG YCCK": _ycck,
    "JPEG thumbnail": _two_scans,
    "JPEG MPO": _two_pictures,
    "JPEG EXIF": _with_exif("JPEG"),
    **{f"JPEG profile {mode}": _with_profile("JPEG", mode) for mode in ("RGB", "L", "CMYK")},
    "PNG RGB": _pillow("PNG"),
    "PNG 1 bit": _pillow("PNG", "1"),
    "PNG grey": _pillow("PNG", "L"),
    "PNG grey alpha": _pillow("PNG", "LA"),
    **{
        f"PNG palette {bits}": partial(
            lambda bits, photo: saved(photo.quantize(1 << bits), "PNG", bits=bits, transparency=0), bits
        )
        for bits in (2, 4, 8)
    },
    "PNG alpha": lambda photo: saved(_clear(photo), "PNG"),
    "PNG interlaced": _interlaced,
    **{f"PNG 16 bits {channels}": _deep_png(channels) for channels in (1, 2, 3, 4)},
    "PNG EXIF": _with_exif("PNG"),
    "PNG profile": _with_profile("PNG"),
    "WEBP lossy": _pillow("WEBP", quality=80),
    "WEBP lossless": _pillow("WEBP", lossless=True),
    "WEBP alpha": lambda photo: saved(_clear(photo), "WEBP", quality=80),
    "WEBP EXIF": _with_exif("WEBP"),
    "WEBP profile": _with_profile("WEBP"),
    **{f"TIFF {name}": _pillow("TIFF", compression=name) for name in ("raw", "tiff_lzw", "packbits", "jpeg")},
    "TIFF deflate": _pillow("TIFF", compression="tiff_adobe_deflate"),
    "TIFF G4": _pillow("TIFF", "1", compression="group4"),
    "TIFF CMYK": _pillow("TIFF", "CMYK", compression="tiff_lzw"),
    "TIFF palette": lambda photo: saved(photo.quantize(64), "TIFF"),
    "TIFF profile": _with_profile("TIFF"),
    "TIFF tiles": _tifffile(deep=False, tile=(32, 32), compression="zlib"),
    "TIFF planar": _tifffile(deep=False, planarconfig="separate"),
    **{
        f"TIFF 16 bits {channels} {packed or 'raw'}": _tifffile(channels, compression=packed, rowsperstrip=16)
        for channels, packed in product((1, 3), (None, "lzw", "zlib", "packbits"))
    },
    "TIFF 16 bits alpha": _tifffile(4, extrasamples=["unassalpha"], compression="lzw"),
    "TIFF 16 bits tiles": _tifffile(tile=(32, 32), compression="zlib", predictor=True),
    "TIFF 16 bits planar": _tifffile(planarconfig="separate", byteorder=">"),
    "HEIF 4:2:0": _pillow("HEIF", quality=80),
    "HEIF 4:4:4": _pillow("HEIF", chroma=444),
    "HEIF grey": _pillow("HEIF", "L"),
    "HEIF alpha": lambda photo: saved(_clear(photo), "HEIF"),
    "HEIF EXIF": _with_exif("HEIF"),
    "HEIF of a phone": samples.phone_heic,
    "AVIF 4:2:0": _pillow("AVIF", quality=80, speed=10),
    "AVIF 4:4:4": _pillow("AVIF", subsampling="4:4:4", speed=10),
    "AVIF grey": _pillow("AVIF", "L", subsampling="4:0:0", speed=10),
    "AVIF alpha": lambda photo: saved(_clear(photo), "AVIF", speed=10),
    "AVIF EXIF": _with_exif("AVIF", speed=10),
    "BMP RGB": _pillow("BMP"),
    "BMP palette": lambda photo: saved(photo.quantize(200), "BMP"),
    "BMP grey": _pillow("BMP", "L"),
    "BMP alpha": lambda photo: saved(_clear(photo), "BMP"),
    "GIF": lambda photo: saved(photo.quantize(128), "GIF"),
    "GIF grey": _pillow("GIF", "L"),
    "GIF clear": lambda photo: saved(photo.quantize(64), "GIF", transparency=3),
}

RARE: dict[str, Maker] = {
    "JPEG arithmetic": _arithmetic,
    "BMP runs": _run_lengths,
    "WEBP one frame": _pillow("WEBP", save_all=True),
    **{
        f"{photo_format} frames": _frames(photo_format)
        for photo_format in ("GIF", "WEBP", "PNG", "HEIF", "AVIF", "TIFF")
    },
}
