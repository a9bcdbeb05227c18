"""What the detector learns from: crops of photos at every scale, some with faces put into them.

Where faces are is not taken from any annotation: the teacher says what it sees in each crop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from torch import Tensor

from uncnn.exporters.train.augment import degrade, relight
from uncnn.exporters.train.faces import TrainingError

LONGEST_PX = 1600  # photos are kept no larger than this
FACE_SIDE_PX = (12, 220)  # of faces that are put into a crop


def held_out(file: Path) -> bool:
    """Return whether a photo is kept from training: half of them, the same ones every time."""
    return hashlib.sha256(file.name.encode()).digest()[0] % 2 == 1


@dataclass(frozen=True, slots=True)
class Scenes:
    """Photos with faces, photos without, and aligned faces; crops are drawn from them."""

    photos: Sequence[Image.Image]
    backgrounds: Sequence[Image.Image]
    faces: npt.NDArray[np.uint8]  # (N, 144, 144, 3)

    def draw(self, number: int, side: int, random: np.random.Generator) -> Tensor:
        """Return crops, (number, 3, side, side) uint8 RGB."""
        crops = np.stack([np.asarray(self._crop(side, random)) for _ in range(number)])
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
        some = np.flatnonzero(random.random(number) < 0.6)
        pixels[some] = relight(pixels[some], random)
        return degrade(pixels, random, 0.25, 0.2, 0.3)

    def _crop(self, side: int, random: np.random.Generator) -> Image.Image:
        whole = random.random() < 0.6
        sources = self.photos if whole else self.backgrounds
        crop = _placed(sources[int(random.integers(len(sources)))], side, random)
        if (not whole and random.random() < 0.6) or random.random() < 0.15:
            for _ in range(random.integers(1, 5)):
                self._put_face(crop, random)
        if random.random() < 0.2:
            _cover(crop, random)
        return ImageOps.mirror(crop) if random.random() < 0.5 else crop

    def _put_face(self, crop: Image.Image, random: np.random.Generator) -> None:
        """Put an aligned face into `crop`, turned, of a random size, with a soft oval border."""
        low, high = np.log(FACE_SIDE_PX[0]), np.log(min(FACE_SIDE_PX[1], crop.width))
        side = round(float(np.exp(random.uniform(low, high)) * 144 / 100))
        face = Image.fromarray(self.faces[random.integers(len(self.faces))]).resize((side, side), Image.Resampling.BOX)
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).ellipse((side * 0.04, 0, side * 0.96, side), fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(side / 40))
        angle = float(random.normal(0, 15))
        left, top = random.integers(-side // 3, max(crop.width - side * 2 // 3, 1), 2)
        crop.paste(face.rotate(angle), (int(left), int(top)), mask.rotate(angle))


def read_scenes(data: Path, faces: npt.NDArray[np.uint8]) -> Scenes:
    """Return the photos of the training half of `widerface` and `noface`, and all of `groups` and `people`.

    Raises:
        TrainingError: a folder is missing or empty.
    """
    wide, without = ([file for file in _photos(data / name) if not held_out(file)] for name in ("widerface", "noface"))
    others = [*_photos(data / "groups"), *_photos(data / "people")]
    return Scenes([_open(file) for file in (*wide, *others)], [_open(file) for file in without], faces)


def _photos(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not files:
        raise TrainingError(f"{folder}: no photos in it; name the folder that has widerface, noface, groups and people")
    return files


def _open(file: Path) -> Image.Image:
    with Image.open(file) as image:
        photo = ImageOps.exif_transpose(image).convert("RGB")
    photo.thumbnail((LONGEST_PX, LONGEST_PX), Image.Resampling.BOX)
    return photo


def _placed(photo: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    """Return a turned square of `photo` at a random scale: from the whole of it to three times enlarged."""
    least = min(side / max(photo.size) / 1.3, 1.0)
    scale = float(np.exp(random.uniform(np.log(least), np.log(3.0))))
    angle = np.radians(random.normal(0, 12))
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    reach = side / scale
    x, y = (random.uniform(min(reach / 2, full / 2), max(full - reach / 2, full / 2)) for full in photo.size)
    half = side / 2
    matrix = (cosine, -sine, x - half * (cosine - sine), sine, cosine, y - half * (sine + cosine))
    if scale < 0.7:  # bilinear sampling alone would alias
        factor = max(int(1 / scale), 1)
        photo = photo.reduce(factor) if factor > 1 else photo
        matrix = tuple(value / factor for value in matrix)
    fill = tuple(int(value) for value in random.integers(0, 256, 3))
    return photo.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=fill)


def _cover(crop: Image.Image, random: np.random.Generator) -> None:
    """Cover a few rectangles by flat colours."""
    draw = ImageDraw.Draw(crop)
    for _ in range(random.integers(1, 6)):
        left, top = random.integers(0, crop.width, 2)
        width, height = random.integers(4, crop.width // 5, 2)
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        draw.rectangle((int(left), int(top), int(left + width), int(top + height)), fill=colour)
