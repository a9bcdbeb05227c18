"""What of a photo is kept in each format, and what a large JPEG costs: the table of docs/photos.md.

    python benchmarks/formats.py           16 real photos in every format (about 4 minutes)
    python benchmarks/formats.py --smoke   2 small photos: only shows that it runs

Each photo is converted into every format and kind; a change as an attack makes it, up to 12 grey levels, is put into
its faces as the detector finds them; the file is encoded as it would be published and read again. No attack is run.

Needs photos (--data, else ../shared/data beside the checkout) and RetinaFace's weights (UNCNN_MODELS, else
../shared/models/reference). Says so and ends with 0 where there are none.
"""

from __future__ import annotations

import io
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import imagecodecs
import numpy as np
import tifffile
from common import WEIGHTS, is_missing
from PIL import Image, ImageCms

from uncnn.daemon.photos import Photo, decode, encode
from uncnn.daemon.photos.profiles import clean_profile
from uncnn.daemon.photos.reader import stored_again
from uncnn.daemon.photos.turning import as_stored, upright
from uncnn.plugins.api import Detector, Face, Pixels

LONGER_SIDE = 1000
MOST_LEVELS = 12
MARGIN = 16  # px around a face in which a block of a JPEG may hold a part of it
MOST_FACES = 12  # changed in the large photo, the largest of them
BAR_SECONDS = 0.6

Convert = Callable[[Image.Image], bytes]


def _saved(image: Image.Image, photo_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, photo_format, **options)
    return buffer.getvalue()


def _as(photo_format: str, mode: str = "RGB", **options: Any) -> Convert:
    return lambda image: _saved(image.convert(mode), photo_format, **options)


def _oriented() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _palette(photo_format: str) -> Convert:
    return lambda image: _saved(image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG), photo_format)


def _clear(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _deep(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    lower = np.random.default_rng(0).integers(-100, 101, (image.height, image.width, 3))
    return (np.asarray(image).astype(np.int32) * 257 + lower).clip(0, 65535).astype(np.uint16)


def _deep_tiff(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, _deep(image), photometric="rgb", compression="lzw", predictor=True, resolution=(300, 300))
    return buffer.getvalue()


def _wide() -> bytes:
    """Return a wide-gamut profile: Little CMS's own sRGB with its red and green further out."""
    import struct

    plain = bytearray(clean_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()))
    for entry in range(132, 132 + 12 * struct.unpack_from(">I", plain, 128)[0], 12):
        name, start, _ = struct.unpack_from(">4sII", plain, entry)
        wide = {b"rXYZ": (0.51512, 0.24120, -0.00105), b"gXYZ": (0.29198, 0.69225, 0.04189)}.get(name)
        if wide:
            struct.pack_into(">iii", plain, start + 8, *(round(65536 * value) for value in wide))
    return bytes(plain)


KINDS: dict[str, Convert] = {
    "JPEG 4:4:4": _as("JPEG", quality=92, subsampling=0, dpi=(300, 300)),
    "JPEG 4:2:0, turned": _as("JPEG", quality=85, subsampling=2, exif=_oriented()),
    "JPEG progressive": _as("JPEG", quality=85, progressive=True),
    "JPEG grey": _as("JPEG", "L", quality=85),
    "JPEG CMYK": _as("JPEG", "CMYK", quality=90),
    "JPEG wide gamut": _as("JPEG", quality=92, icc_profile=_wide()),
    "PNG": _as("PNG", dpi=(300, 300)),
    "PNG 16 bits": lambda image: bytes(imagecodecs.png_encode(_deep(image))),
    "PNG palette": _palette("PNG"),
    "PNG see-through": lambda image: _saved(_clear(image), "PNG"),
    "PNG wide gamut": _as("PNG", icc_profile=_wide()),
    "WebP lossless": _as("WEBP", lossless=True),
    "WebP lossy": _as("WEBP", quality=80),
    "TIFF": _as("TIFF", compression="tiff_lzw", dpi=(300, 300)),
    "TIFF 16 bits": _deep_tiff,
    "HEIC": _as("HEIF", quality=60),
    "AVIF": _as("AVIF", quality=70),
    "BMP": _as("BMP"),
    "GIF": _palette("GIF"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one photo of one kind."""

    beside: int  # the largest change of a stored sample outside of the faces, 8-bit levels
    share: float  # of these samples that changed at all
    missed: float  # mean absolute difference in the faces from what was wanted, levels
    size: float  # of the file, as a share of the source's
    kept: str  # what the file keeps of its kind


def main() -> None:
    """Print one line for each kind, as Markdown, and what a large JPEG costs."""
    options = common.options_of(__doc__).parse_args()
    if is_missing(options.data, WEIGHTS):
        return
    photos = _photos(options.data, *((2, 400) if options.smoke else (16, LONGER_SIDE)))
    detector = common.detector()
    faces = [detector.detect(np.asarray(image)) for image in photos]
    print(f"{len(photos)} photos, {sum(map(len, faces))} faces")
    print("| kind | samples beside the faces that changed | by at most | missed in the faces | size | kept |")
    print("|---|---|---|---|---|---|")
    for kind, convert in KINDS.items():
        rows = [_row(convert(image), own) for image, own in zip(photos, faces, strict=True)]
        print(_line(kind, rows), flush=True)
    _cost(photos, detector, 1 if options.smoke else 7)


def _photos(data: Path, number: int, longer_side: int) -> list[Image.Image]:
    """Return real photos, half of one person each and half of groups, at a size at which 19 kinds take minutes."""
    people, groups = sorted((data / "people").rglob("*.jpg")), sorted((data / "groups").iterdir())
    paths = [*people[:: len(people) // (number // 2)][: number // 2], *groups[:: len(groups) // (number // 2)]]
    images = []
    for path in paths[:number]:
        with Image.open(path) as image:
            small = image.convert("RGB")
        small.thumbnail((longer_side, longer_side))
        images.append(small)
    return images


def _changed(photo: Pixels, faces: Sequence[Face]) -> Pixels:
    """Return a photo with a rough and a smooth change in its faces, grey as an attack's mostly is."""
    pixels = photo.astype(np.int16)
    generator = np.random.default_rng(0)
    for part in _parts(faces, pixels.shape):
        shape = pixels[part].shape[:2]
        rough = generator.integers(-6, 7, shape)
        smooth = 6 * np.sin(np.arange(shape[1]) / 9)[None, :] * np.cos(np.arange(shape[0]) / 9)[:, None]
        pixels[part] += np.clip(rough + smooth.round(), -MOST_LEVELS, MOST_LEVELS).astype(np.int16)[..., None]
    return pixels.clip(0, 255).astype(np.uint8)


def _parts(faces: Sequence[Face], shape: Sequence[int], margin: int = 0) -> Iterator[tuple[slice, slice]]:
    for face in faces:
        x0, y0, x1, y1 = (round(value) for value in face.box)
        rows = slice(max(y0 - margin, 0), min(y1 + margin, shape[0]))
        yield rows, slice(max(x0 - margin, 0), min(x1 + margin, shape[1]))


def _row(content: bytes, faces: Sequence[Face]) -> Row:
    photo = decode(content, "photo")
    turn = photo.orientation  # the faces were found in the picture as it is stored
    wanted = _changed(as_stored(photo.pixels, turn), faces)
    released = encode(photo, np.ascontiguousarray(upright(wanted, turn)))
    again = decode(released.data, "released")
    before, after = stored_again(photo), stored_again(again)
    beside = np.ones(before.samples.shape[:2], np.bool_)
    inside = ~beside
    for part in _parts(faces, beside.shape, MARGIN if photo.format == "JPEG" else 0):
        beside[part] = False
    for part in _parts(faces, beside.shape):
        inside[part] = True
    levels = 257 if before.samples.dtype == np.uint16 else 1
    difference = np.abs(after.samples.astype(np.int32) - before.samples)[beside]
    missed = np.abs(as_stored(again.pixels, turn).astype(np.int16) - wanted)[inside]
    return Row(
        -(-int(difference.max(initial=0)) // levels),
        float((difference > 0).mean()) if difference.size else 0.0,
        float(missed.mean()) if missed.size else 0.0,
        len(released.data) / len(content),
        _kept(photo, again),
    )


def _kept(photo: Photo, again: Photo) -> str:
    """Return what both files have besides their pixels; what the copy lost is named as lost."""
    before, after = stored_again(photo), stored_again(again)
    facts = {
        f"{8 * before.samples.dtype.itemsize} bits": after.samples.dtype == before.samples.dtype,
        {1: "grey", 3: "RGB", 4: "CMYK"}[before.samples.shape[2]]: after.samples.shape[2] == before.samples.shape[2],
    }
    if before.palette is not None:
        facts["palette"] = after.palette is not None
    if before.alpha is not None:
        facts["opacity"] = after.alpha is not None
    if before.profile is not None:
        facts["profile"] = after.profile == before.profile
    if before.encoding.dots_per_inch:
        facts["resolution"] = after.encoding.dots_per_inch == before.encoding.dots_per_inch
    if before.orientation != 1:
        facts["orientation"] = after.orientation == before.orientation
    if before.encoding.quantisation:
        facts["tables"] = after.encoding == before.encoding
    return ", ".join(name if is_kept else f"NOT {name}" for name, is_kept in facts.items())


def _line(kind: str, rows: Sequence[Row]) -> str:
    kept = " / ".join(dict.fromkeys(row.kept for row in rows))
    share = max(row.share for row in rows)
    largest = max(row.beside for row in rows)
    mean_missed, most_size = statistics.mean(row.missed for row in rows), max(row.size for row in rows)
    return f"| {kind} | {share:.0%} | {largest} | {mean_missed:.2f} | {most_size:.2f} | {kept} |"


def _cost(photos: Sequence[Image.Image], detector: Detector, times: int) -> None:
    """Print what decoding and encoding 12 megapixels take on one core, with faces changed."""
    mosaic = Image.new("RGB", (4000, 3000))
    for number in range(20):
        mosaic.paste(photos[number % len(photos)], (number % 5 * 800, number // 5 * 750))
    content = _saved(mosaic, "JPEG", quality=92, subsampling=2)
    faces = sorted(detector.detect(np.asarray(mosaic)), key=lambda face: -face.size_px)[:MOST_FACES]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    photo = decode(content, "large")
    pixels = _changed(photo.pixels, faces)
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        encode(decode(content, "large"), pixels)
        taken.append(time.perf_counter() - started)
    size = f"12 megapixels, {len(content) / 1e6:.1f} MB, {len(faces)} faces"
    print(
        f"JPEG of {size}: {min(taken):.2f} s at best, {statistics.median(taken):.2f} s as a rule (bar {BAR_SECONDS} s)"
    )


if __name__ == "__main__":
    main()
