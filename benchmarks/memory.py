"""What a photo takes of memory, kind by kind, beside what `daemon/photos/needs.py` says beforehand that it takes.

    python benchmarks/memory.py                    24 megapixels of each kind (some minutes)
    python benchmarks/memory.py --megapixels 200 png png-16-alpha
    python benchmarks/memory.py --smoke            4 megapixels of each

Each file is decoded, its fingerprint taken, a face changed and the file written as the worker does; then it and its
copy are decoded and compressed anew as the verifier does. Printed is the most memory at a time, in bytes a pixel, and
what it was said to take. Ends with 1 where one took more. Linux only: it reads /proc/self.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import imagecodecs
import numpy as np
import numpy.typing as npt
import pillow_heif
import tifffile
from PIL import Image

from uncnn.daemon.evaluate.machine import peak_bytes
from uncnn.daemon.photos import decode, encode, reencode
from uncnn.daemon.photos.fingerprint import fingerprint
from uncnn.daemon.photos.headers import sniff
from uncnn.daemon.photos.needs import needed_bytes

MOST_FIXED: Final = 48 << 20
"""Bytes that libraries take whatever the size: their threads and tables."""

Picture = npt.NDArray[np.uint8]


def saved(image: Image.Image, name: str, **options: object) -> bytes:
    """Return the file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def deep(picture: Picture, alpha: bool) -> npt.NDArray[np.uint16]:
    """Return a picture with 16 bits a sample."""
    samples = picture.astype(np.uint16) * 257
    return np.dstack([samples, np.full(samples.shape[:2], 50_000, np.uint16)]) if alpha else samples


def deep_tiff(picture: Picture, alpha: bool) -> bytes:
    """Return a TIFF with 16 bits a sample."""
    buffer = io.BytesIO()
    more = {"extrasamples": ["unassalpha"]} if alpha else {}
    tifffile.imwrite(buffer, deep(picture, alpha), photometric="rgb", compression="zlib", **more)
    return buffer.getvalue()


def clear(image: Image.Image) -> Image.Image:
    """Return an image with opacity."""
    image.putalpha(200)
    return image


KINDS: Final[Mapping[str, Callable[[Image.Image], bytes]]] = {
    "png": lambda image: saved(image, "PNG", compress_level=1),
    "png-grey": lambda image: saved(image.convert("L"), "PNG", compress_level=1),
    "png-alpha": lambda image: saved(clear(image), "PNG", compress_level=1),
    "png-palette": lambda image: saved(image.quantize(256, Image.Quantize.FASTOCTREE), "PNG", compress_level=1),
    "png-16": lambda image: bytes(imagecodecs.png_encode(deep(np.asarray(image), False), level=1)),
    "png-16-alpha": lambda image: bytes(imagecodecs.png_encode(deep(np.asarray(image), True), level=1)),
    "jpeg": lambda image: saved(image, "JPEG", quality=90),
    "jpeg-444-progressive": lambda image: saved(image, "JPEG", quality=90, progressive=True, subsampling="4:4:4"),
    "jpeg-grey": lambda image: saved(image.convert("L"), "JPEG", quality=90),
    "jpeg-inks": lambda image: saved(image.convert("CMYK"), "JPEG", quality=90),
    "webp": lambda image: saved(image, "WEBP", quality=80, method=0),
    "webp-alpha": lambda image: saved(clear(image), "WEBP", lossless=True, method=0, quality=0),
    "tiff": lambda image: saved(image, "TIFF", compression="tiff_lzw"),
    "tiff-alpha": lambda image: saved(clear(image), "TIFF", compression="tiff_lzw"),
    "tiff-inks": lambda image: saved(image.convert("CMYK"), "TIFF", compression="tiff_lzw"),
    "tiff-16": lambda image: deep_tiff(np.asarray(image), False),
    "tiff-16-alpha": lambda image: deep_tiff(np.asarray(image), True),
    "bmp": lambda image: saved(image, "BMP"),
    "gif": lambda image: saved(image.quantize(256, Image.Quantize.FASTOCTREE), "GIF"),
    "heif": lambda image: saved(image, "HEIF", quality=60, enc_params={"preset": "ultrafast"}),
    "avif": lambda image: saved(image, "AVIF", quality=60, speed=10),
}


class Peak:
    """The most memory that this process holds inside a block, beyond what it held before."""

    def __init__(self) -> None:
        self.bytes = 0

    def __enter__(self) -> Peak:
        """Begin anew, with what was freed given back."""
        with suppress(AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        self._before = resident_bytes()
        return self

    def __exit__(self, *_: object) -> None:
        """Note how much it was."""
        self.bytes = max((peak_bytes(os.getpid()) or 0) - self._before, 0)


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def picture(megapixels: float, noise: bool) -> Image.Image:
    """Return a square picture: of one colour, or with a little noise everywhere, as photos have."""
    side = round((megapixels * 1e6) ** 0.5)
    if not noise:
        return Image.new("RGB", (side, side), (90, 110, 130))
    tile = np.random.default_rng(0).integers(100, 116, (256, 256, 3), dtype=np.uint8)
    count = -(-side // 256)
    return Image.fromarray(np.tile(tile, (count, count, 1))[:side, :side])


def worked_on(data: bytes) -> tuple[int, int]:
    """Return the most bytes that the worker's part takes, and the verifier's."""
    with Peak() as worker:
        photo = decode(data, "photo")
        fingerprint(photo)
        changed = photo.pixels.copy()
        middle = len(changed) // 2
        changed[middle : middle + 200, middle : middle + 200] ^= 8
        copy = encode(photo, changed).data
        del photo, changed
    with Peak() as verifier:
        before, released = decode(data, "original").pixels, decode(copy, "released photo")
        fingerprint(released)
        after = released.pixels
        del released
        reencode(before, "jpeg-75")
        reencode(after, "half-size")
    return worker.bytes, verifier.bytes


def main() -> int:
    """Print a line a kind, and return 1 where one takes more than was said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--plain", action="store_true", help="pictures of one colour: small files")
    options = parser.parse_args()
    pillow_heif.register_heif_opener()
    megapixels = 4 if options.smoke else options.megapixels
    worked_on(KINDS["png"](picture(0.01, True)))  # what is loaded once
    print(f"{'kind':22} {'file, MB':>9} {'worker':>8} {'verifier':>8} {'said':>8}   bytes a pixel")
    over = 0
    for kind in options.kinds or KINDS:
        data = KINDS[kind](picture(megapixels, not options.plain))
        worker, verifier = worked_on(data)
        side = round((megapixels * 1e6) ** 0.5)
        said = needed_bytes(data, sniff(data, kind), (side, side), kind)
        more = max(worker, verifier) > said + MOST_FIXED
        over += more
        each = [f"{number / side**2:8.1f}" for number in (worker, verifier, said)]
        print(f"{kind:22} {len(data) / 1e6:9.2f} {' '.join(each)}{'   MORE' if more else ''}", flush=True)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
