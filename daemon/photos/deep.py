"""PNG and TIFF with 16 bits a sample, which Pillow would reduce to 8.

PNG (third edition, W3C 2025) by libpng, through imagecodecs; TIFF 6.0 by tifffile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from uncnn.daemon.photos.png import chunks_of
from uncnn.daemon.photos.rows import bands
from uncnn.daemon.photos.tiff import check_tiff
from uncnn.daemon.photos.turning import SIDEWAYS, upright
from uncnn.daemon.photos.values import Encoding, PhotoError, Stored

Deep = npt.NDArray[np.uint16]

_PILLOWS_NAME: Final = {1: "raw", 5: "tiff_lzw", 32773: "packbits"}
_NAMES: Final = {"raw": None, "tiff_lzw": "lzw", "packbits": "packbits"}
_COMPRESSIONS: Final = {1, 5, 8, 32946, 32773, 34925, 50000}  # none, LZW, deflate twice, PackBits, LZMA, Zstandard
_DEFLATE: Final = "tiff_adobe_deflate"
_OPAQUE: Final = 65535
_ORIENTATION, _PROFILE, _X_RESOLUTION, _Y_RESOLUTION, _UNIT = 274, 34675, 282, 283, 296
_CENTIMETRES: Final = 3


def reduced(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return samples of 16 bits with 8, rounded; those of 8 as they are."""
    if samples.dtype == np.uint8:
        return samples
    result = np.empty(samples.shape, np.uint8)
    for rows in bands(*samples.shape[:2]):
        result[rows] = (samples[rows].astype(np.uint32) + 128) // 257
    return result


def read_png(data: bytes) -> tuple[Deep, Deep | None]:
    """Return the samples (H, W, 1 or 3) and the opacity (H, W) of a PNG of 16 bits, as stored."""
    pixels: Deep = imagecodecs.png_decode(data)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.dtype != np.uint16:
        raise ValueError(f"{pixels.dtype} samples")
    if pixels.shape[2] in (2, 4):
        return pixels[..., :-1], pixels[..., -1]
    clear = next((content for name, content in chunks_of(data) if name == b"tRNS"), None)
    if clear is None:
        return pixels, None
    hidden = (pixels == np.frombuffer(clear, ">u2")[: pixels.shape[2]]).all(axis=2)
    return pixels, np.where(hidden, 0, _OPAQUE).astype(np.uint16)


def write_png(samples: Deep, alpha: Deep | None) -> bytes:
    """Return a PNG of 16 bits a sample without anything but its pixels."""
    pixels = samples if alpha is None else np.dstack([samples, alpha])
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def read_tiff(data: bytes, name: str) -> tuple[Stored, bytes | None]:
    """Return a TIFF of 16 bits a sample, upright, and its ICC profile.

    Raises PhotoError (`unsupported`, `damaged`, `truncated`), and what tifffile raises.
    """
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        colours = _check_page(page, data, name)
        pixels = np.moveaxis(page.asarray(), 0, -1) if _is_planar(page) else page.asarray()
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = _OPAQUE - pixels
        turn = int(_tag(page, _ORIENTATION) or 1)
        samples = np.ascontiguousarray(upright(pixels[..., :colours], turn))
        alpha = np.ascontiguousarray(upright(pixels[..., colours], turn)) if page.extrasamples else None
        if alpha is not None and page.extrasamples[0] == tifffile.EXTRASAMPLE.ASSOCALPHA:
            samples = _unmultiplied(samples, alpha)
        compression = _PILLOWS_NAME.get(int(page.compression), _DEFLATE)
        encoding = Encoding(compression=compression, dots_per_inch=_dots_per_inch(page, turn >= SIDEWAYS))
        return Stored(samples, alpha, None, 1, encoding), _tag(page, _PROFILE)


def _check_page(page: tifffile.TiffPage, data: bytes, name: str) -> int:
    """Return how many channels of colour a page has, before anything is allocated for it.

    Raises PhotoError (`unsupported`, `damaged`, `truncated`).
    """
    colours, more = page.samplesperpixel - len(page.extrasamples), len(page.extrasamples)
    grey = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
    known = (grey and colours == 1) or (page.photometric == tifffile.PHOTOMETRIC.RGB and colours == 3)
    if not known or more > 1:
        model = getattr(page.photometric, "name", "an unknown model").lower()
        found = f"16-bit samples as {model} with {more} more channels"
        raise PhotoError("unsupported", f"{name} has {found}: export it as RGB")
    if page.compression not in _COMPRESSIONS:
        packed = getattr(page.compression, "name", f"method {page.compression}")
        raise PhotoError(
            "unsupported", f"{name} has 16-bit samples with the compression {packed}: export it with LZW or ZIP"
        )
    size = check_tiff(data, name).size
    if (page.imagewidth, page.imagelength) != size or page.imagedepth != 1 or page.dtype != np.uint16:
        raise PhotoError("damaged", f"{name} has inconsistent tags: export it again")
    strips = math.prod(page.chunked)
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:strips]
    there = sum(0 < offset < len(data) and count > 0 for offset, count in parts)
    if there < strips:
        raise PhotoError("truncated", f"{name} is incomplete, {there} of its {strips} strips are there: copy it again")
    return colours


def _is_planar(page: tifffile.TiffPage) -> bool:
    return bool(page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1)


def _tag(page: tifffile.TiffPage, number: int) -> Any:
    tag = page.tags.get(number)
    return None if tag is None else tag.value


def _unmultiplied(samples: Deep, alpha: Deep) -> Deep:
    """Return the samples of a picture whose colours were stored multiplied by its opacity."""
    result = np.empty(samples.shape, np.uint16)
    for rows in bands(*samples.shape[:2]):
        whole = samples[rows].astype(np.float64) * _OPAQUE / np.maximum(alpha[rows], 1)[..., None]
        result[rows] = np.rint(whole).clip(0, _OPAQUE)
    return result


def _dots_per_inch(page: tifffile.TiffPage, sideways: bool) -> tuple[float, float] | None:
    found = _tag(page, _X_RESOLUTION), _tag(page, _Y_RESOLUTION)
    if None in found or _tag(page, _UNIT) == 1:
        return None
    inch = 2.54 if _tag(page, _UNIT) == _CENTIMETRES else 1.0
    across, down = (round(inch * value[0] / value[1], 2) if value[1] else 0.0 for value in found)
    return (down, across) if sideways else (across, down)


def write_tiff(stored: Stored, tags: Mapping[int, str | bytes]) -> bytes:
    """Return a TIFF of 16 bits a sample with these tags, texts or bytes."""
    pixels = stored.samples if stored.alpha is None else np.dstack([stored.samples, stored.alpha])
    compression = _NAMES.get(stored.encoding.compression, "adobe_deflate")
    buffer = BytesIO()
    tifffile.imwrite(
        buffer,
        pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels,
        photometric="minisblack" if stored.samples.shape[2] == 1 else "rgb",
        planarconfig="contig",
        extrasamples=None if stored.alpha is None else ["unassalpha"],
        compression=compression,
        predictor=compression in ("lzw", "adobe_deflate"),
        iccprofile=stored.profile,
        resolution=stored.encoding.dots_per_inch or (72, 72),
        resolutionunit="INCH" if stored.encoding.dots_per_inch else "NONE",
        software=False,
        metadata=None,
        extratags=[(tag, 2 if isinstance(value, str) else 1, len(value), value, True) for tag, value in tags.items()],
    )
    return buffer.getvalue()
