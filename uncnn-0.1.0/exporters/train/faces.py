"""The aligned faces that are put into scenes to train on, and who is kept from training."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from uncnn.exporters.train.augment import FACE_PX
from uncnn.plugins.api import UncnnError

HELD_OUT = 10  # every tenth person is kept from training, to choose by


class TrainingError(UncnnError):
    """Something that training needs is missing or unfit."""


def person_of(file: Path) -> str:
    """Return the person of a file named as LFW names them, `Given_Name_0001.jpg`."""
    return file.stem.rpartition("_")[0]


def held_out(person: str) -> bool:
    """Return whether a person is kept from training; the same people every time."""
    return int(hashlib.sha256(person.encode()).hexdigest(), 16) % HELD_OUT == 0


def read_faces(folder: Path, training: bool) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Return aligned faces, (N, 144, 144, 3) uint8 RGB, and their people: those to train on, or those kept from it.

    Raises:
        TrainingError: the folder holds no such face, or one of another size.
    """
    files = [file for file in sorted(folder.glob("*.jpg")) if held_out(person_of(file)) is not training]
    if not files:
        raise TrainingError(f"{folder}: no aligned face (Given_Name_0001.jpg) in it; name the folder of training faces")
    faces = []
    for file in files:
        with Image.open(file) as image:
            if image.size != (FACE_PX, FACE_PX):
                raise TrainingError(f"{file}: it is {image.width} x {image.height}; align it to {FACE_PX} x {FACE_PX}")
            faces.append(np.asarray(image.convert("RGB")))
    return np.stack(faces), [person_of(file) for file in files]
