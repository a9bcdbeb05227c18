"""Photo files made for the tests: every format, orientation and profile, with secrets planted in them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin

from uncnn.daemon.photos.items import items_of
from uncnn.daemon.photos.remuxing import Part, written

pillow_heif.register_heif_opener()

ORIENTATION = 0x0112
SECRET = b"SECRET-of-the-owner"
LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
    "WEBP": {"lossless": True, "exact": True},
}
EVERY: dict[str, dict[str, Any]] = LOSSLESS | {
    "JPEG": {"quality": 92, "subsampling": 0},
    "HEIF": {"quality": 90, "chroma": 444},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
}


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Return a smooth picture whose corners all differ, so that no turn of it looks like another."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    channels = (220 * across, 200 * down, 120 * (1 - across) + 60 * down + 30)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def saved(image: Image.Image, photo_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, photo_format, **options)
    return buffer.getvalue()


def stored_turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return `image` as a camera stores it that writes this orientation: the inverse of how it is to be turned."""
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return image.transpose(inverse[orientation]) if orientation in inverse else image


def oriented(image: Image.Image, photo_format: str, orientation: int) -> bytes:
    """Return a file that shows `image` once its orientation is followed."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = EVERY[photo_format]
    if photo_format == "HEIF":  # the encoder turns EXIF orientation into HEIC's own transform
        return saved(stored_turned(image, orientation), photo_format, exif=exif.tobytes(), **options)
    return saved(stored_turned(image, orientation), photo_format, exif=exif, **options)


def secret_exif() -> Image.Exif:
    """Return EXIF with a description, a maker note, a GPS position and a thumbnail, each holding SECRET."""
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif[0x9286] = SECRET
    exif.get_ifd(0x8769)[0x927C] = SECRET
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[29] = "N", (52.0, 30.0, 59.0), SECRET.decode()
    return exif


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def with_secrets(photo_format: str) -> bytes:
    """Return a photo of this format with SECRET planted wherever the format has room for it."""
    image, options = picture(), EVERY[photo_format]
    xmp = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    if photo_format == "JPEG":
        plain = saved(image, "JPEG", exif=secret_exif(), xmp=xmp, comment=SECRET, **options)
        thumbnail = saved(image.resize((16, 16)), "JPEG", comment=SECRET)
        planted = segment(0xE1, b"Exif\0\0" + thumbnail) + segment(0xE5, SECRET) + segment(0xED, b"Photoshop" + SECRET)
        return plain[:2] + planted + plain[2:] + thumbnail + SECRET
    if photo_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", SECRET.decode())
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        text.add(b"teSt", SECRET)
        return saved(image, "PNG", exif=secret_exif(), pnginfo=text) + SECRET
    if photo_format == "TIFF":
        tags = {270: SECRET.decode(), 700: xmp, 33432: SECRET.decode(), 34853: {29: SECRET.decode()}}
        return saved(image, "TIFF", tiffinfo=tags) + SECRET
    if photo_format == "BMP":
        return saved(image, "BMP") + SECRET
    return saved(image, photo_format, exif=secret_exif().tobytes(), xmp=xmp, **options)


def profile_with(tags: Iterable[tuple[bytes, bytes]], header: bytes) -> bytes:
    """Return an ICC profile of these tags under a header of 128 bytes."""
    table, body = b"", b""
    tags = list(tags)
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags:
        padded = content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += padded
    whole = header + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def _number(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def display_p3() -> bytes:
    """Return a profile with the primaries of Display P3 and the curve of sRGB."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    changed = bytearray(plain)
    for entry in range(132, 132 + 12 * struct.unpack_from(">I", plain, 128)[0], 12):
        name, start, _ = struct.unpack_from(">4sII", plain, entry)
        if name in primaries:
            changed[start + 8 : start + 20] = b"".join(map(_number, primaries[name]))
    return bytes(changed)


def _header(space: bytes, connection: bytes) -> bytes:
    fields = bytearray(128)
    fields[8:12] = b"\x02\x40\0\0"
    fields[12:24] = b"prtr" + space + connection
    fields[36:40] = b"acsp"
    fields[68:80] = _number(0.9642) + _number(1) + _number(0.8249)
    return bytes(fields)


def dark_grey() -> bytes:
    """Return a grey profile with a linear curve: mid grey of the file is much lighter in sRGB."""
    white = b"XYZ " + bytes(4) + _number(0.9642) + _number(1) + _number(0.8249)
    return profile_with([(b"wtpt", white), (b"kTRC", b"curv" + bytes(8))], _header(b"GRAY", b"XYZ "))


def ink(back: bool = False) -> bytes:
    """Return a CMYK profile of two grid points an ink: lightness falls with every ink, colour with the three.

    `back`: and the way from Lab, into black alone.
    """
    grid = bytearray()
    for corner in range(16):
        cyan, magenta, yellow, black = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        lightness = 255 * (1 - black) * (1 - 0.3 * cyan) * (1 - 0.3 * magenta) * (1 - 0.1 * yellow)
        grid += bytes((round(lightness), 128 - 60 * cyan + 60 * magenta, 128 - 60 * cyan + 70 * yellow))
    identity = b"".join(_number(float(row == column)) for row in range(3) for column in range(3))
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + ramp * 4 + bytes(grid) + ramp * 3
    tags = [(b"A2B0", table), (b"A2B1", table)]
    if back:  # black alone: what is not light
        inks = bytes(number for corner in range(8) for number in (0, 0, 0, 0 if corner >> 2 else 255))
        way = b"mft1" + bytes(4) + bytes((3, 4, 2, 0)) + identity + ramp * 3 + inks + ramp * 4
        tags += [(b"B2A0", way), (b"B2A1", way)]
    return profile_with(tags, _header(b"CMYK", b"Lab "))


def phone_heic(image: Image.Image, orientation: int = 6, tile: int = 64) -> bytes:
    """Return a HEIC as phones write them: a grid of tiles, turned, with a thumbnail, a gain map, messages, a video."""
    stored = stored_turned(image, orientation)
    size = struct.pack(">II", *stored.size)
    rows, columns = -(-stored.height // tile), -(-stored.width // tile)
    spread = np.pad(
        np.asarray(stored), ((0, rows * tile - stored.height), (0, columns * tile - stored.width), (0, 0)), mode="edge"
    )
    split = spread.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
    tiles = [_coded(Image.fromarray(each)) for each in split]
    turn = {1: [], 3: [(b"irot", b"\2")], 6: [(b"irot", b"\3")], 8: [(b"irot", b"\1")]}[orientation]
    known = [(b"ispe", bytes(4) + size), (b"pixi", b"\0\0\0\0\3\x08\x08\x08"), (b"colr", b"prof" + display_p3())]
    grid = Part(b"grid", bytes((0, 0, rows - 1, columns - 1)) + struct.pack(">HH", *stored.size), [*known, *turn])
    grid.references = [(b"dimg", tuple(range(2, 2 + len(tiles))))]
    small = _coded(image.resize((64, 64)))
    small.references = [(b"thmb", (1,))]
    gain = _coded(image.resize((64, 64)).convert("L"))
    gain.references = [(b"auxl", (1,))]
    gain.properties.append((b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0" + SECRET))
    exif = Part(b"Exif", b"\0\0\0\6" + secret_exif().tobytes(), [], [(b"cdsc", (1,))])
    packet = Part(b"mime", b"<x:xmpmeta>" + SECRET, [], [(b"cdsc", (1,))])
    video = struct.pack(">I", 8 + len(SECRET)) + b"mpvd" + SECRET
    return written("HEIF", [grid, *tiles, small, gain, exif, packet]) + video


def _coded(image: Image.Image) -> Part:
    """Return a coded picture with a message beside its slices."""
    _, items = items_of(saved(image, "HEIF", quality=90, chroma=420))
    (item,) = items.values()
    message = b"\x4e\x01\x05" + bytes((len(SECRET) + 16,)) + bytes(16) + SECRET + b"\x80"
    own = [(name.encode(), item.properties[name]) for name in ("ispe", "hvcC", "pixi")]
    return Part(b"hvc1", struct.pack(">I", len(message)) + message + item.content, own)
