"""A decoded photo as a value, and the one error that bad photo files end in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.plugins.api import Pixels, UncnnError

Format: TypeAlias = Literal["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP"]
"""The formats that are read and written back; other formats are refused with a reason."""

Alpha: TypeAlias = npt.NDArray[np.uint8]
"""Opacity, (H, W) uint8, 255 opaque."""

Kind: TypeAlias = Literal[
    "empty",
    "truncated",  # perhaps still being written: worth another look
    "damaged",
    "not-a-photo",
    "too-large",
    "animated",  # or of several pages
    "unsupported",
    "unwritable",  # decoded, but not to be written in the wanted format
]

PIXEL_LIMIT: Final = 200_000_000


class PhotoError(UncnnError):
    """A file that is not taken as a photo: the message names the file, what was found and the remedy."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the encoder needs in order to be no worse than the source."""

    quantisation: tuple[tuple[int, ...], ...] = ()  # JPEG: a table of 64 for each component, row by row, upright
    subsampling: str = "4:4:4"  # JPEG, HEIF, AVIF: chroma
    progressive: bool = False  # JPEG
    lossless: bool = False  # WebP
    compression: str = "tiff_adobe_deflate"  # TIFF: Pillow's name
    dots_per_inch: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo as people see it: upright and in sRGB."""

    pixels: Pixels  # (H, W, 3) uint8 RGB
    alpha: Alpha | None  # (H, W) uint8, or None where the source has none
    grey: bool  # the source holds no colour: neither will the output
    format: Format
    encoding: Encoding
    notes: tuple[str, ...]  # what a person should know: a profile applied or ignored, a picture left out
