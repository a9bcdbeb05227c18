"""The closed sets of `founding.py`: aligned faces of some people of LFW, split by photo, and of others to begin with.

A face is the crop that recognisers see, 112 x 112 pixels by ArcFace's template; pictures are RGB, (N, 3, 112, 112).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from onepass import portraits_of
from PIL import Image
from torch import Tensor

from uncnn.plugins.geometry import ARCFACE_112, similarities
from uncnn.plugins.recognisers.onnx_recogniser import crop

SIDE: Final = 112
MARGIN: Final = 16  # pixels around that crop in ../shared/data/faces-144
PHOTOS: Final = 12  # a person: as many as the folder has of anybody


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Pictures and whose they are."""

    pictures: Tensor  # (N, 3, 112, 112) uint8
    people: Tensor  # (N,) whole numbers

    def part(self, photos: slice, of: int = PHOTOS) -> Faces:
        """Return some of each person's photos, where everybody has `of` of them, one person after another."""
        number = torch.arange(len(self.people)) % of
        chosen = torch.isin(number, torch.arange(of)[photos])
        return Faces(self.pictures[chosen], self.people[chosen])

    @property
    def count(self) -> int:
        """Return how many people there are."""
        return len(self.people.unique())


def closed_set(folder: Path, count: int, keep: Path) -> Faces:
    """Return the faces of the first `count` people with enough photos that show one; kept as an archive."""
    file = keep / f"faces-{count}.npz"
    if not file.exists():
        rows: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
        for own in sorted(folder.iterdir()):
            enough = len(list(own.iterdir())) >= PHOTOS and len(rows) < count
            portraits = list(portraits_of([own], PHOTOS)) if enough else []
            if len(portraits) == PHOTOS:
                rows.append(np.stack([_aligned(each.photo, np.array(each.face.landmarks)) for each in portraits]))
        keep.mkdir(parents=True, exist_ok=True)
        np.savez(file, pictures=np.concatenate(rows))
    with np.load(file, allow_pickle=False) as arrays:
        pictures = torch.from_numpy(arrays["pictures"]).permute(0, 3, 1, 2).contiguous()
    return Faces(pictures, torch.arange(len(pictures)) // PHOTOS)


def _aligned(photo: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], points: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Return the aligned crop, (112, 112, 3), of the face at `points` (5, 2) in a photo."""
    return crop(photo, similarities(points[None], ARCFACE_112)[0], (SIDE, SIDE))


def others(folder: Path, most: int) -> Tensor:
    """Return the first pictures, (N, 3, 112, 112) uint8, of a folder of aligned faces with a margin."""
    files = sorted(folder.glob("*.jpg"))[:most]
    return torch.from_numpy(np.stack([_inner(file) for file in files])).permute(0, 3, 1, 2).contiguous()


def _inner(file: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))[MARGIN:-MARGIN, MARGIN:-MARGIN]


def aims(people: Tensor, count: int, seed: int = 0) -> Tensor:
    """Return for each face, (N,), a person among `count` who is not its own, drawn alike."""
    draw = torch.Generator().manual_seed(seed)
    return (people + torch.randint(1, count, people.shape, generator=draw)) % count
