"""What of a photo an attack is given, face by face, and what it gives back: numpy alone, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.geometry import Region, region_of

PATCH_PX: Final = 224
"""Side of every patch: 1.8 patch pixels to a pixel of a 112 px crop, so no recogniser asks for more than is there."""

COLOURLESS_255: Final = 3  # channels that differ by no more are rounding: a black-and-white photo stored in colour

Values: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Patch:
    """What is done to one face: held inside its budget, not yet in the photo."""

    region: Region
    change: Values  # (3, P, P) grey levels
    limits: Values  # (1, P, P) bound of any one channel, grey levels
    flow: Values | None = None  # (2, P, P) patch pixels
    eyes_px: float = 1.0  # between the eyes, patch pixels


@dataclass(frozen=True, slots=True)
class FaceInPhoto:
    """One face, and the photo that it is in."""

    photo: Pixels  # (H, W, 3)
    face: Face
    seed: int  # of the photo
    grey: bool = False  # a grey photo gets a grey change
    beside: tuple[Face, ...] = ()  # the faces that are cloaked too and touch its region: `geometry.beside`
    earlier: tuple[Patch, ...] = ()  # what was done to those of them that are not in the batch


@dataclass(frozen=True, slots=True)
class CutFace:
    """All that an attack needs to know of one face: its square of the photo, and nothing of what lies around it."""

    square: Values  # (3, P, P) RGB in 0..255; black where the photo ends
    region: Region
    size: tuple[int, int]  # of the photo: height, width
    photo: int  # faces with the same number are in one photo
    face: Face
    seed: int  # of the photo
    grey: bool
    beside: tuple[Face, ...] = ()
    earlier: tuple[tuple[Values, Region], ...] = ()  # changes of faces beside it that are not in the batch


def cut_faces(faces_in_photos: Sequence[FaceInPhoto]) -> list[CutFace]:
    """Return what an attack needs of each face."""
    photos = list({id(each.photo): None for each in faces_in_photos})
    return [_cut(each, photos.index(id(each.photo))) for each in faces_in_photos]


def _cut(one: FaceInPhoto, photo: int) -> CutFace:
    region = region_of(np.array(one.face.landmarks), PATCH_PX)
    height, width = one.photo.shape[:2]
    grey = one.grey or is_colourless(one.photo[region.clipped(height, width)])
    earlier = tuple((patch.change, patch.region) for patch in one.earlier)
    square = square_of(one.photo, region)
    return CutFace(square, region, (height, width), photo, one.face, one.seed, grey, one.beside, earlier)


def is_colourless(pixels: Pixels) -> bool:
    """Return whether `pixels` (H, W, 3) are a black-and-white picture, whatever it was stored as."""
    return bool(np.ptp(pixels, axis=2).max(initial=0) <= COLOURLESS_255)


def square_of(photo: Pixels, region: Region) -> Values:
    """Return a square of the photo (H, W, C), (C, P, P) float32, black outside the photo."""
    rows, columns = region.clipped(*photo.shape[:2])
    square = np.zeros((region.side, region.side, photo.shape[2]), dtype=np.float32)
    if rows.start < rows.stop and columns.start < columns.stop:
        square[region.local(rows, columns)] = photo[rows, columns]
    planes = np.ascontiguousarray(square.transpose(2, 0, 1))
    if region.side == PATCH_PX:
        return planes
    small = (Image.fromarray(plane).resize((PATCH_PX, PATCH_PX), Image.Resampling.BILINEAR) for plane in planes)
    return np.stack([np.asarray(plane, dtype=np.float32) for plane in small])


def inside_of(size: tuple[int, int], region: Region) -> Values:
    """Return how much of each pixel of a square lies in a photo of that height and width, (1, P, P) in 0..1."""
    return square_of(np.broadcast_to(np.uint8(1), (*size, 1)), region)
