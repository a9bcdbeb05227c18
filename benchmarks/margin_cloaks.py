"""The cloaked photos that `margin.py` tries its rules on: made once at each strength, and kept in a folder.

Stopped and started again, it goes on where it was. The recognisers that are attacked are the published three that come
with uncnn, by name, so that the figures do not move with what else is installed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

import numpy as np
from pydantic import TypeAdapter

from uncnn.daemon.photos import decode, encode
from uncnn.daemon.photos.fingerprint import seed
from uncnn.daemon.verify.visibility import face_square, ssimulacra2
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Detector, Face
from uncnn.plugins.engine.host import perturb
from uncnn.plugins.engine.rendering import add, moved
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import make_attack, make_budget

ATTACKED: Final = ("mobilefacenet-foamliu", "mobileface-v2", "esp-mfn")
STRENGTHS: Final = ("balanced", "strong", "utmost")
SMALLEST_PX: Final = 24
ADAPTER: Final = TypeAdapter(list[Face])
MOST_FACES: Final = 3  # of a group photo: a crowd would be half of all faces

Item = TypeVar("Item")
Half = Literal["tune", "report", "people", "groups"]


@dataclass(frozen=True, slots=True)
class Source:
    """One photo, and which half of the people it belongs to."""

    file: Path
    half: Half

    def folder(self, cache: Path) -> Path:
        """Return where what was made of it is kept."""
        return cache / f"{self.half}-{self.file.parent.name}-{self.file.stem}"


def sources(data: Path, number: int) -> list[Source]:
    """Return `number` LFW photos of each half of the people, one a person, in turns; then `people` and `groups`."""
    people = sorted(path for path in (data / "lfw" / "identities").iterdir() if path.is_dir())
    halves = [spread(people[start::2], number) for start in (0, 1)]
    pairs = zip(*halves, strict=True)
    lfw = []
    for tune, report in pairs:
        lfw += [Source(sorted(tune.iterdir())[0], "tune"), Source(sorted(report.iterdir())[0], "report")]
    others: list[Source] = []
    for folder in sorted((data / "people").iterdir()):
        others += [Source(file, "people") for file in sorted(folder.iterdir())[:4]]
    groups = spread(sorted((data / "groups").iterdir()), max(number // 4, 1))
    others += [Source(file, "groups") for file in groups]
    return lfw + spread(others, max(number // 2, 2))


def spread(items: Sequence[Item], number: int) -> list[Item]:
    """Return up to `number` of `items`, at equal distances."""
    return [items[position] for position in np.unique(np.linspace(0, len(items) - 1, number).round().astype(int))]


def make_cloak(source: Source, strength: str, cache: Path, detector: Detector, attacked: Sequence[Recogniser]) -> None:
    """Cloak a photo at a strength, unless that was done, and keep the file and the SSIMULACRA2 of each face."""
    file = source.folder(cache) / f"{strength}.json"
    if file.is_file():
        return
    faces = faces_of(source, cache, detector)
    photo = decode(source.file.read_bytes(), "photo")
    ssimulacra2_values: list[float | None] = []
    if faces:
        budget = make_budget(strength, {})
        patches = perturb(photo.pixels, faces, make_attack("veil", {}), attacked, budget, seed(photo), photo.grey)
        base = moved(photo.pixels, patches)
        pixels, _ = add(base, patches)
        file.with_suffix(".released").write_bytes(encode(photo, pixels).data)
        squares = [face_square(face, pixels.shape) for face in faces]
        ssimulacra2_values = [
            None if square is None else ssimulacra2(base[square], pixels[square]) for square in squares
        ]
    file.write_text(json.dumps(ssimulacra2_values))


def load_attacked() -> list[Recogniser]:
    """Return the recognisers that are attacked."""
    return [load_recogniser(EMBEDDED / name) for name in ATTACKED]


def faces_of(source: Source, cache: Path, detector: Detector) -> list[Face]:
    """Return the faces of the photo that are to be protected, found once."""
    file = source.folder(cache) / "faces.json"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        seen = detector.detect(decode(source.file.read_bytes(), "photo").pixels)
        large = sorted((face for face in seen if face.size_px >= SMALLEST_PX), key=lambda face: -face.size_px)
        file.write_text(json.dumps(ADAPTER.dump_python(large[:MOST_FACES], mode="json")))
    return ADAPTER.validate_json(file.read_text())
