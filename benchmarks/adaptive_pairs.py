"""The photos that `adaptive.py` works on: pairs of a clean and a cloaked file, made with `veil` and kept.

Both files of a pair come out of the same encoder, JPEG 92 4:4:4, so that nobody can tell them apart by that. Pairs to
learn from are faces of `faces-144`: each aligned crop is cloaked as if it were a photo, its landmarks where the
template has them, no detector asked. Photos to judge on are whole ones of LFW.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from onepass import Portrait
from peers_faces import seed_of
from PIL import Image
from torch import Tensor

from uncnn.exporters.train.augment import FACE_PX
from uncnn.exporters.train.faces import read_faces
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.attacks.veil import Veil
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.patches import FaceInPhoto
from uncnn.plugins.engine.rendering import compose
from uncnn.plugins.geometry import ARCFACE_112, Floats
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import make_budget

STRENGTH: Final = "balanced"
MARGIN_PX: Final = (FACE_PX - 112) // 2
POINTS_144: Final = ARCFACE_112 + MARGIN_PX
PHOTOS: Final = 3  # of each person to learn from
AT_ONCE: Final = 6  # faces in a batch


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Faces as published without a cloak and with one, (N, 144, 144, 3) uint8 RGB, and whose they are."""

    clean: Pixels
    cloaked: Pixels
    people: list[str]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return both as (N, 3, 144, 144) uint8 RGB."""
        clean, cloaked = (torch.from_numpy(faces).permute(0, 3, 1, 2) for faces in (self.clean, self.cloaked))
        return clean.contiguous(), cloaked.contiguous()


def encoded(photo: Pixels, quality: int = 92, form: str = "JPEG") -> bytes:
    """Return a photo as a file of that quality; JPEG without chroma subsampling."""
    more = {"subsampling": 0} if form == "JPEG" else {}
    with io.BytesIO() as file:
        Image.fromarray(photo).save(file, form, quality=quality, **more)
        return file.getvalue()


def decoded(file: bytes) -> Pixels:
    """Return the pixels of a file, (H, W, 3) uint8 RGB."""
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"))


def cloaked(
    portraits: Sequence[Portrait], attacked: Sequence[Recogniser], steps: int, strength: str = STRENGTH
) -> list[Pixels]:
    """Return the photos with their faces cloaked, as one batch."""
    faces = [FaceInPhoto(each.photo, each.face, seed_of(each.photo)) for each in portraits]
    patches = perturb_all(faces, Veil(), attacked, make_budget(strength, {"steps": steps}))
    return [compose(each.photo, [patch])[0] for each, patch in zip(portraits, patches, strict=True)]


def made(
    portraits: Sequence[Portrait],
    names: Sequence[str],
    folder: Path,
    attacked: Sequence[Recogniser],
    steps: int,
    strength: str = STRENGTH,
) -> int:
    """Cloak what is not in the folder yet, one batch, as `NAME.jpg`; return how many that were."""
    missing = [number for number, name in enumerate(names) if not (folder / f"{name}.jpg").exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        copies = cloaked([portraits[number] for number in missing], attacked, steps, strength)
        for number, copy in zip(missing, copies, strict=True):
            part = folder / f"{names[number]}.part"
            part.write_bytes(encoded(copy))
            part.replace(folder / f"{names[number]}.jpg")
    return len(missing)


def to_learn_from(folder: Path) -> Iterator[tuple[str, str, Pixels]]:
    """Yield (person, file name, aligned face) of three photos each of people who have them, in the same order."""
    faces, people = read_faces(folder, training=True)
    numbers: dict[str, list[int]] = {}
    for number, person in enumerate(people):
        numbers.setdefault(person, []).append(number)
    enough = [(person, own) for person, own in numbers.items() if len(own) >= PHOTOS]
    for person, own in [*enough[::2], *enough[1::2]]:
        for place, number in enumerate(own[:PHOTOS]):
            yield person, f"{person}-{place}", faces[number]


def pairs_of(data: Path, folder: Path, number: int, attacked: Sequence[Recogniser], steps: int) -> Pairs:
    """Return so many pairs: those that are in the folder, then others, which are made now."""
    every = sorted(to_learn_from(data / "faces-144"), key=lambda each: not (folder / f"{each[1]}.jpg").exists())
    chosen = every[:number]
    began = time.process_time()
    for first in range(0, len(chosen), AT_ONCE):
        some = chosen[first : first + AT_ONCE]
        portraits = [Portrait(person, face, aligned_face()) for person, _, face in some]
        if made(portraits, [name for _, name, _ in some], folder, attacked, steps):
            seconds = time.process_time() - began
            print(f"  {first + len(some)} of {len(chosen)} pairs; {seconds:.0f} core-seconds", flush=True)
    return Pairs(
        np.stack([decoded(encoded(face)) for _, _, face in chosen]),
        np.stack([decoded((folder / f"{name}.jpg").read_bytes()) for _, name, _ in chosen]),
        [person for person, _, _ in chosen],
    )


def aligned_face() -> Face:
    """Return the face of an aligned crop: where the template has it."""
    return face_at(POINTS_144)


def face_at(points: Floats) -> Face:
    """Return a face whose five landmarks are at `points`, (5, 2) photo pixels."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    wide, high = right - left, bottom - top
    box = (left - wide / 2, top - 0.8 * high, right + wide / 2, bottom + 0.5 * high)
    return Face(tuple(map(float, box)), tuple((float(x), float(y)) for x, y in points), 1.0)  # type: ignore[arg-type]
