"""A test for people: faces before and after, without being told which is which, as one HTML page.

As ITU-R BT.500-15 has it, who judges does not know what is judged, and things that were not changed are judged, too:
the control is the original after the copy's own JPEG tables. What is said of that is the judge, and the encoder.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image

from uncnn.daemon.photos.formats.jpeg import tables_of
from uncnn.daemon.photos.values import Photo
from uncnn.daemon.verify.visibility import check_sizes
from uncnn.plugins.api import Detector, Face, Pixels
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.perception.displays import DESKTOP, PHONE

VERSIONS: Final = ("original", "copy", "control")
SHOWN: Final = ("native", "phone")
PICTURES: Final = len(VERSIONS) * len(SHOWN)  # of each face

LARGEST_PX: Final = 512  # of a picture's side at native size
LEAST_PX: Final = 24.0  # of a face
AROUND: Final = 0.75  # of the longer side of a face's box, from its middle

PHONE_PX: Final = PHONE.pixels_per_degree / DESKTOP.pixels_per_degree
"""Pixels of a phone in one of the page's, so that a face is seen as large as there."""

_TEMPLATE: Final = "blinded.html"
_PLACE: Final = "/* faces */ []"
_FILTER: Final = Image.Resampling.LANCZOS


@dataclass(frozen=True, slots=True)
class BlindedFace:
    """The square around a face in each of `VERSIONS`, (H, W, 3) uint8 sRGB, at each size of `SHOWN`."""

    size_px: float  # of the longer side of its box
    pictures: tuple[Pixels, ...]  # all versions at native size, then all at a phone's


@dataclass(frozen=True, slots=True)
class BlindedFaces:
    """The faces of a photo, and how many are left out: alike in both versions, or too small."""

    faces: tuple[BlindedFace, ...]
    left_out: int


def cut(detector: Detector, before: Pixels, copy: Photo) -> BlindedFaces:
    """Return the faces of a photo, (H, W, 3) uint8 sRGB, and of its copy.

    Raises UncnnError: they have different sizes.
    """
    check_sizes(before, copy.pixels, "give two versions of one photo")
    versions = (before, copy.pixels, encoded_like(copy, before))
    found = looking(detector, "auto").detect(before)
    faces = []
    for face in sorted(found, key=lambda face: -face.size_px):
        squares = [_square(pixels, face) for pixels in versions]
        if face.size_px >= LEAST_PX and not np.array_equal(squares[0], squares[1]):
            faces.append(BlindedFace(face.size_px, tuple(_pictures(squares, PHONE.scale(*before.shape[:2])))))
    return BlindedFaces(tuple(faces), len(found) - len(faces))


def encoded_like(copy: Photo, pixels: Pixels) -> Pixels:
    """Return a photo, (H, W, 3) uint8 sRGB, after the encoder of a copy; as it is, if that is no JPEG."""
    if not copy.encoding.quantisation:
        return pixels
    stream = BytesIO()
    tables, subsampling = tables_of(copy.encoding), copy.encoding.subsampling
    Image.fromarray(pixels).save(stream, "JPEG", qtables=tables, subsampling=subsampling)
    with Image.open(stream, formats=["JPEG"]) as image:
        return np.asarray(image.convert("RGB"))


def _square(pixels: Pixels, face: Face) -> Pixels:
    middle = np.array(face.box).reshape(2, 2).mean(axis=0)
    reach = AROUND * face.size_px
    left, top = (max(round(float(value)), 0) for value in middle - reach)
    right, bottom = (round(float(value)) for value in middle + reach)
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def _pictures(squares: Sequence[Pixels], phone: float) -> Iterator[Pixels]:
    for most, scale in ((LARGEST_PX, 1.0), (LARGEST_PX * PHONE_PX, phone)):
        for square in squares:
            height, width = square.shape[:2]
            ratio = min(scale, most / max(height, width))
            size = (max(round(width * ratio), 1), max(round(height * ratio), 1))
            yield square if ratio == 1 else np.asarray(Image.fromarray(square).resize(size, _FILTER))


def page(faces: Iterable[BlindedFace]) -> str:
    """Return the page, which holds all it needs, asks, and works out what was answered; it sends nothing."""
    listed = [
        {"px": round(face.size_px), **{shown: _shown(face, place) for place, shown in enumerate(SHOWN)}}
        for face in faces
    ]
    template = files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8")
    scale = f"const PHONE_PX = {PHONE_PX:.4f};"
    return template.replace(_PLACE, json.dumps(listed), 1).replace("const PHONE_PX = 1;", scale, 1)


def _shown(face: BlindedFace, place: int) -> dict[str, Any]:
    """Return the pictures of a face at the size of that place in `SHOWN`, and their width in pixels."""
    pictures = face.pictures[len(VERSIONS) * place : len(VERSIONS) * (place + 1)]
    named = {version: _data(picture) for version, picture in zip(VERSIONS, pictures, strict=True)}
    return {"width": pictures[0].shape[1], **named}


def _data(pixels: Pixels) -> str:
    """Return a picture, without loss, as an address that holds it."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, quality=60, method=3)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
