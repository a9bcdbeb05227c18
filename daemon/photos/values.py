"""A decoded photo as a value, and the one error that bad photo files end in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.daemon.files.formats import Format
from uncnn.plugins.api import Pixels, UncnnError

Alpha: TypeAlias = npt.NDArray[np.uint8]
"""Opacity, (H, W) uint8, 255 opaque."""

Samples: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""What a file stores: (H, W, C) of 8 or 16 bits, C 1 (grey), 3 (RGB) or 4 (CMYK); or (H, W), opacity."""

Kind: TypeAlias = Literal[
    "empty",
    "truncated",  # perhaps still being written: worth another look
    "damaged",
    "not-a-photo",
    "too-large",
    "no-memory",  # for it at this moment: worth another look
    "animated",  # or of several pages
    "unsupported",
    "unwritable",  # decoded, but not to be written in the wanted format
]

Note: TypeAlias = Callable[[str], None]
"""Takes what a person should know of a photo."""

MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}
"""Pillow's name of samples of so many channels."""

PIXEL_LIMIT: Final = 200_000_000


class PhotoError(UncnnError):
    """A file that is not taken as a photo: the message names the file, what was found and the remedy."""

    fault = "photo"

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


def deep_error(name: str, found: str) -> PhotoError:
    """Return the error for samples that would silently lose precision."""
    return PhotoError("unsupported", f"{name} has {found}, which would be lost: export it with 8 bits per sample")


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the encoder needs in order to be no worse than the source."""

    quantisation: tuple[tuple[int, ...], ...] = ()  # JPEG: a table of 64 for each component, row by row
    subsampling: str = "4:4:4"  # JPEG, HEIF, AVIF: chroma
    progressive: bool = False  # JPEG
    lossless: bool = True  # TIFF, WebP: as its pixels are compressed
    compression: str = "tiff_adobe_deflate"  # TIFF: Pillow's name
    dots_per_inch: tuple[float, float] | None = None  # across and down, as stored
    late_exif: bool = False  # PNG: it stands behind the pixels, where Pillow looks and browsers do not


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A picture as its file stores it: not turned, in its own colours and of its own depth."""

    samples: Samples  # (H, W, C)
    alpha: Samples | None  # (H, W), or None where the source has none
    profile: bytes | None  # ICC, with nothing in it but colour; None: sRGB
    orientation: int  # 1 to 8 (EXIF 2.32, tag 0x0112): what a viewer still has to do
    encoding: Encoding
    palette: Palette | None = None  # where the colours are indices
    chunks: tuple[tuple[bytes, bytes], ...] = ()  # PNG: what it says of its colours in place of a profile


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """The colours of a picture that stores their numbers."""

    indices: npt.NDArray[np.uint8]  # (H, W)
    colours: npt.NDArray[np.uint8]  # (K, 3) RGB
    opacity: bytes  # of the first colours; the others are opaque


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo as people see it, upright and in sRGB, and the file that it is from."""

    pixels: Pixels  # (H, W, 3) uint8 RGB
    alpha: Alpha | None  # (H, W) uint8, or None where the source has none
    grey: bool  # the source holds no colour: neither will the output
    format: Format
    encoding: Encoding
    orientation: int  # of the picture in the file, 1 to 8
    profile: bytes | None  # of the file, as in `Stored`
    plain: bool  # the pixels are all that it stores: 8 bits, sRGB, no inks
    notes: tuple[str, ...]  # what a person should know: a profile ignored, a picture left out
    source: bytes  # the file
