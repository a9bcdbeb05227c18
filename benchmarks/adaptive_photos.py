"""The photos that adversaries are asked about: cloaked people of LFW, and strangers; and what is seen in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from adaptive_pairs import AT_ONCE, FACE_PX, POINTS_144, STRENGTH, decoded, encoded, face_at, made
from adaptive_scores import Known, judges_of
from adaptive_views import View, unchanged
from onepass import Portrait, portraits_of
from peers import people_of
from peers_kept import write

from uncnn.daemon.evaluate.adversaries import Codes
from uncnn.plugins.api import Pixels
from uncnn.plugins.geometry import Floats, similarities
from uncnn.plugins.recognisers.cards import Embeddings
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser, crop
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

Looked = tuple[Pixels, Floats]
"""A photo, and the landmarks of its face, (5, 2) photo pixels."""

JUDGED: Final = 2  # photos of a person that are published
OTHERS: Final = 4  # that stay clean


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Photos that recognisers are asked about."""

    portraits: list[Portrait]  # person by person: those that are published, then those that stay clean
    published: list[Pixels]  # of each person's first ones: as files without a cloak
    copies: list[Pixels]  # and with one
    strangers: Callable[[], list[Portrait]]

    @property
    def people(self) -> Codes:
        """Return whose each photo is, (N,)."""
        return np.unique([each.person for each in self.portraits], return_inverse=True)[1]

    @property
    def numbers(self) -> Codes:
        """Return which photos are published, (n,)."""
        size = len(self.portraits) // (int(self.people.max()) + 1)
        share = len(self.copies) // (int(self.people.max()) + 1)
        return np.flatnonzero(np.arange(len(self.portraits)) % size < share)

    def clean(self) -> list[Looked]:
        """Return all photos as they are, then the strangers'."""
        every = [*self.portraits, *self.strangers()]
        return [(each.photo, np.array(each.face.landmarks)) for each in every]

    @property
    def points(self) -> list[Floats]:
        """Return the landmarks of the published photos."""
        return [np.array(self.portraits[number].face.landmarks) for number in self.numbers]


def judged_of(
    lfw: Path, keep: Path, number: int, strangers: int, attacked: Sequence[Recogniser], steps: int, strength: str
) -> Judged:
    """Return so many people's photos and strangers'; who is not cloaked in `keep` yet is cloaked now."""
    folder = keep / (f"judged-{strength}" if strength != STRENGTH else "judged")
    people = list(people_of(lfw / "identities", number, JUDGED, OTHERS))
    chosen = [portrait for person in people for portrait in person.judged]
    names = [f"{person.name}-{place}" for person in people for place in range(JUDGED)]
    for first in range(0, len(chosen), AT_ONCE):
        made(chosen[first : first + AT_ONCE], names[first : first + AT_ONCE], folder, attacked, steps, strength)
    return Judged(
        [portrait for person in people for portrait in (*person.judged, *person.others)],
        [decoded(encoded(portrait.photo)) for portrait in chosen],
        [decoded((folder / f"{name}.jpg").read_bytes()) for name in names],
        cache(lambda: _strangers(sorted((lfw / "distractors").iterdir())[:strangers], keep / "strangers.npz")),
    )


def _strangers(folders: Sequence[Path], file: Path) -> list[Portrait]:
    """Return one photo each of strangers; where their faces are is kept."""
    if not file.exists():
        found = {each.person: np.array(each.face.landmarks) for each in portraits_of(folders, 1)}
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, names=np.array(list(found)), points=np.array(list(found.values())))
    with np.load(file, allow_pickle=False) as arrays:
        places = dict(zip(arrays["names"].tolist(), arrays["points"], strict=True))
    first = {own.name: min(own.iterdir()) for own in folders if own.name in places}
    return [Portrait(name, decoded(first[name].read_bytes()), face_at(points)) for name, points in places.items()]


def aligned(photo: Pixels, points: Floats) -> Pixels:
    """Return a face as those to learn from are, (144, 144, 3)."""
    return crop(photo, similarities(points[None], POINTS_144)[0], (FACE_PX, FACE_PX))


def known_to(judges: Sequence[OnnxRecogniser], judged: Judged, file: Path) -> Known:
    """Return what the judges see in the clean photos, kept in `file`."""
    seen = kept(file, judges, [] if file.exists() else judged.clean())
    number = len(judged.portraits)
    photos = {name: embeddings[:number] for name, embeddings in seen.items()}
    strangers = {name: embeddings[number:] for name, embeddings in seen.items()}
    return Known(judges_of([judge.card for judge in judges]), judged.people, judged.numbers, photos, strangers)


def kept(
    file: Path, judges: Sequence[OnnxRecogniser], faces: Sequence[Looked], view: View = unchanged
) -> dict[str, Embeddings]:
    """Return what each judge sees of faces through a view, by its name, (N, D); from the file where it is there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        look = [view(photo, points) for photo, points in faces]
        seen: dict[str, Any] = {judge.card.name: _seen(judge, look) for judge in judges}
        write(file, **seen)
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays}


def mean(looks: Sequence[Embeddings]) -> Embeddings:
    """Return the mean of several looks at the same faces, (N, D), each as long as the looks are on average."""
    middle = np.mean(looks, axis=0)
    lengths = np.mean([np.linalg.norm(look, axis=1, keepdims=True) for look in looks], axis=0)
    return np.asarray(middle * (lengths / np.linalg.norm(middle, axis=1, keepdims=True)), np.float32)


def _seen(judge: OnnxRecogniser, faces: Sequence[Looked]) -> Embeddings:
    return np.concatenate([judge.embed(photo, points[None]) for photo, points in faces])
