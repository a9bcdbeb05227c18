"""What `explain.py` fits and measures on: embeddings of LFW's people, in two halves that share nobody, and of cloaks.

Everything is kept in a folder and made once; stopped and started again, it goes on where it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from common import CPU, detector, set_torch_up
from margin_cloaks import Half, Source, faces_of, load_attacked, make_cloak

from uncnn.exporters.calibration.faces import look_with, photos_in
from uncnn.exporters.calibration.patches import decode, main_face
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.geometry import Floats, same_face
from uncnn.plugins.recognisers.cards import TEMPLATES, Card, read_card
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

RECOGNISERS: Final = ("openvino-0095", "dlib-resnet", "mobilefacenet-foamliu", "mobileface-v2", "esp-mfn")
STRENGTH: Final = "balanced"
CLOAKED: Final = 2  # photos of each person
MARGIN_PX: Final = 16  # of the photos of faces-144 around the template
NAME: Final = re.compile(r"(.+)_\d{4}\.jpg")

Patches = list[tuple[str, str, np.ndarray, Floats]]
"""Who it is, which photo, what recognisers see of it, and the five points there."""


@dataclass(frozen=True, slots=True)
class HalfOfPeople:
    """One half: nobody of it is in the other."""

    people: dict[str, Floats]  # embeddings, (n, D), of each person's photos
    others: Floats  # (N, D), of people beside them, one photo each
    cloaked: dict[str, Floats]  # of cloaked photos of some of `people`
    plain: dict[str, Floats]  # of the same photos before


@dataclass(frozen=True, slots=True)
class Data:
    """What one recogniser says of all photos."""

    card: Card
    tune: HalfOfPeople  # fitted on
    report: HalfOfPeople  # measured on
    gallery: Floats  # (1000, D), of people of neither


def read(data: Path, keep: Path, name: str) -> Data:
    """Return what a recogniser says; what `embed_all` made is read."""
    card = read_card(EMBEDDED / name)
    lfw, aligned, cloaks = (_stored(keep / f"{what}-{name}.npz") for what in ("lfw", "f144", "cloaked"))
    plain = {path: row for _, path, row in lfw}
    halves = []
    everybody = sorted({who for who, path, _ in lfw if path.startswith("identities")})
    strangers = _one_each(aligned)
    for start in (0, 1):
        names = set(everybody[start::2])
        own = [(path, who, row) for who, path, row in cloaks if who in names]
        halves.append(
            HalfOfPeople(
                {person: np.stack([row for who, _, row in lfw if who == person]) for person in sorted(names)},
                np.stack([strangers[who] for who in sorted(strangers)[start::2]]),
                _grouped([(who, row) for _, who, row in own]),
                _grouped([(who, plain[path]) for path, who, _ in own]),
            )
        )
    return Data(card, halves[0], halves[1], np.stack([row for _, path, row in lfw if path.startswith("distractors")]))


def embed_all(data: Path, keep: Path, names: Sequence[str] = RECOGNISERS, few: int | None = None) -> None:
    """Embed every photo with each recogniser; `few`: so many of each kind."""
    for what, load in (("lfw", _lfw), ("f144", _aligned), ("cloaked", _cloaked)):
        missing = [name for name in names if not (keep / f"{what}-{name}.npz").is_file()]
        patches = load(data, keep, few) if missing else []
        for name in missing:
            recogniser = OnnxRecogniser.load(EMBEDDED / name, CPU)
            rows = np.stack([recogniser.embed(patch, points[None])[0] for _, _, patch, points in patches])
            who, path = (np.array([each[place] for each in patches]) for place in (0, 1))
            np.savez(keep / f"{what}-{name}.npz", x=rows, who=who, path=path)
            print(f"{what}: {len(rows)} faces by {name}", flush=True)


def cloak_all(data: Path, keep: Path, photos: int) -> None:
    """Cloak so many photos, of both halves alike, with the attack and the bounds of `balanced`."""
    set_torch_up()
    wanted = [source for source in _sources(data) if not (source.folder(keep) / f"{STRENGTH}.json").is_file()]
    made = len(_sources(data)) - len(wanted)
    if made >= photos:
        return
    found, attacked = detector(), load_attacked()
    for number, source in enumerate(wanted[: photos - made], made + 1):
        make_cloak(source, STRENGTH, keep, found, attacked)
        print(f"cloaked {number} of {photos}", flush=True)


def _sources(data: Path) -> list[Source]:
    """Return the first photo of every person, the halves in turns, then the second ones."""
    people = sorted(path for path in (data / "lfw" / "identities").iterdir() if path.is_dir())
    halves: tuple[Half, Half] = ("tune", "report")
    return [
        Source(sorted(person.iterdir())[place], halves[number % 2])
        for place in range(CLOAKED)
        for number, person in enumerate(people)
    ]


def _stored(file: Path) -> list[tuple[str, str, Floats]]:
    with np.load(file) as stored:
        rows = stored["x"].astype(np.float64)
        return list(zip(stored["who"].tolist(), stored["path"].tolist(), rows, strict=True))


def _grouped(rows: Sequence[tuple[str, Floats]]) -> dict[str, Floats]:
    return {who: np.stack([row for other, row in rows if other == who]) for who in sorted({who for who, _ in rows})}


def _one_each(faces: Sequence[tuple[str, str, Floats]]) -> dict[str, Floats]:
    return {who: row for who, _, row in reversed(faces)}


def _lfw(data: Path, _keep: Path, few: int | None) -> Patches:
    look, patches = look_with(detector()), []
    folders = ("identities", "distractors")
    photos = [(folder, *each) for folder in folders for each in photos_in(data / "lfw" / folder)[:few]]
    for number, (folder, file, person) in enumerate(photos, 1):
        seen = look(file.read_bytes())
        if not isinstance(seen, str):
            patches.append((person, f"{folder}/{person}/{file.name}", *seen))
        if number % 200 == 0:
            print(f"lfw: found the faces of {number} of {len(photos)} photos", flush=True)
    return patches


def _aligned(data: Path, _keep: Path, few: int | None) -> Patches:
    points = np.array(TEMPLATES["arcface-112"]) + MARGIN_PX
    matches = [NAME.fullmatch(file.name) for file in sorted((data / "faces-144").iterdir())]
    named = [match for match in matches if match][:few]
    return [(match[1], match[0], decode((data / "faces-144" / match[0]).read_bytes()), points) for match in named]


def _cloaked(data: Path, keep: Path, _few: int | None) -> Patches:
    """Return the face of every cloaked photo, found anew where the detector finds it."""
    found, patches = detector(), Patches()
    for source in _sources(data):
        released = source.folder(keep) / f"{STRENGTH}.released"
        if not released.is_file():
            continue
        photo, before = decode(released.read_bytes()), faces_of(source, keep, found)
        face = main_face(before, photo.shape)
        face = next((other for other in found.detect(photo) if same_face(face, other)), face)
        person = source.file.parent.name
        points = np.array(face.landmarks, dtype=np.float64)
        patches.append((person, f"identities/{person}/{source.file.name}", photo, points))
    return patches
