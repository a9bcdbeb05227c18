"""What the writers of the formats have in common: a picture for Pillow, and its file at the quality that is wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from PIL import Image

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.metadata import exif_bytes
from uncnn.daemon.photos.rows import bands
from uncnn.daemon.photos.values import MODES, Stored

Options: TypeAlias = dict[str, Any]
Quality: TypeAlias = int | Literal["same"]

_LEAST_QUALITY: Final = 30
_TRIES: Final = 6
_HALVING: Final = 14.0  # a step of quality that takes about half of the bytes away


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a picture is to be written."""

    quality: Quality
    exif: Image.Exif
    lossless: bool = False  # the source is
    xmp: bytes = b""
    own: bool = False  # the source is of the same format: it goes on as it was encoded
    most_bytes: float | None = None  # at quality `same`; None: no matter


def image_of(stored: Stored) -> Image.Image:
    """Return a new image that holds the picture and nothing else."""
    if stored.palette is not None:
        return _indexed(stored)
    channels = stored.samples.shape[2]
    samples = np.ascontiguousarray(stored.samples[..., 0] if channels == 1 else stored.samples)
    image = Image.fromarray(samples, MODES[channels])
    if stored.alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(stored.alpha)))
    elif channels == 1 and all(
        bool(((samples[rows] == 0) | (samples[rows] == 255)).all()) for rows in bands(*samples.shape)
    ):
        image = image.convert("1", dither=Image.Dither.NONE)
    return image


def _indexed(stored: Stored) -> Image.Image:
    assert stored.palette is not None
    image = Image.fromarray(np.ascontiguousarray(stored.palette.indices), "P")
    image.putpalette(stored.palette.colours.tobytes())
    return image


def saved(image: Image.Image, name: Format, options: Options) -> bytes:
    """Return the file that Pillow makes of an image."""
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def at_best(image: Image.Image, name: Format, start: int, options: Options, wanted: Wanted) -> bytes:
    """Return the file at the wanted quality; at `same`, at the first from `start` on that stays inside its bytes."""
    if wanted.quality != "same":
        return saved(image, name, {**options, "quality": wanted.quality})
    quality = start
    for _ in range(_TRIES):
        data = saved(image, name, {**options, "quality": quality})
        if wanted.most_bytes is None or len(data) <= wanted.most_bytes or quality == _LEAST_QUALITY:
            break
        step = max(math.ceil(_HALVING * math.log2(len(data) / wanted.most_bytes)), 2)
        quality = max(quality - step, _LEAST_QUALITY)
    return data


def said(stored: Stored, wanted: Wanted) -> Options:
    """Return what a file is to say besides its picture, as Pillow's writers take it."""
    found = {"icc_profile": stored.profile, "exif": exif_bytes(wanted.exif), "xmp": wanted.xmp}
    return {name: content for name, content in found.items() if content}


def eight_bits(image: Image.Image) -> Image.Image:
    """Return an image of one bit a pixel with eight, others as they are."""
    return image.convert("L") if image.mode == "1" else image
