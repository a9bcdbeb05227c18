"""Which recognisers to attack, so that others lose the person: `python benchmarks/pack.py --only surrogates`.

One photo of each of a number of LFW people is cloaked (veil, the bounds of `balanced` times several factors) against
each set of surrogates. Recognisers that took no part then compare the cloak, as it is and as JPEG 75, with its own
original and with other photos of the same person, which nobody cloaked. Sets are compared at one SSIMULACRA2, on the
straight line between the factors, and on each half of the people by itself.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import CPU, REFERENCE
from PIL import Image

from uncnn.daemon.verify.visibility import ssimulacra2
from uncnn.exporters.calibration.patches import main_face
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Budget, Detector, Face, Pixels
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.patches import FaceInPhoto
from uncnn.plugins.engine.rendering import compose
from uncnn.plugins.geometry import region_of
from uncnn.plugins.recognisers.cards import compare, distance, read_card
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import make_attack, make_budget

FACTORS = (1.0, 0.9)  # of the bounds of `balanced`
OTHERS = 5  # photos of a person that are compared with the cloak, at most
TOGETHER = 6  # faces in a batch
SHIPPED = "shipped"
FAR = 1e-3
DRAWS = 2000  # of people, for the intervals
APART = (
    "edgeface-xxs",
    "mobilefacenet-y1",
    "mobilefacenet-sirius",
    "mobilefacenet-casia",
    "mobilefacenet-casia-tf2",
)
"""Recognisers that never take part: neither attacked, nor teachers, nor judges."""


@dataclass(frozen=True, slots=True)
class Person:
    """The photo that is cloaked, and others of the same person."""

    photo: Pixels
    face: Face
    others: tuple[tuple[Pixels, Face], ...]


@dataclass(frozen=True, slots=True)
class _Apart:
    """A recogniser that took no part, and what it knows of each person: the original first, then the other photos."""

    recogniser: OnnxRecogniser
    known: tuple[npt.NDArray[np.float32], ...]  # (1 + others, D) a person

    @classmethod
    def of(cls, recogniser: OnnxRecogniser, people: Sequence[Person]) -> _Apart:
        photos = [[(person.photo, person.face), *person.others] for person in people]
        known = [[recogniser.embed(photo, np.array([face.landmarks])) for photo, face in some] for some in photos]
        return cls(recogniser, tuple(np.concatenate(rows) for rows in known))

    def ask(self, number: int, person: Person, released: Pixels) -> tuple[float, float, float]:
        """Return whether the original is linked, the share of the others that are, and how far these are."""
        card, known, points = self.recogniser.card, self.known[number], np.array([person.face.landmarks])
        views = [self.recogniser.embed(view, points) for view in (released, _jpeg(released))]
        values = np.stack([compare(card, np.repeat(view, len(known), axis=0), known) for view in views])
        alike = self.recogniser.most_alike(values).tolist()
        linked = [card.matches(value, FAR) for value in alike]
        limit = distance(card.metric, card.threshold(FAR))
        apart = np.mean([distance(card.metric, value) for value in alike[1:]]) / limit
        return linked[0], float(np.mean(linked[1:])), float(apart)


@dataclass(frozen=True, slots=True)
class Reached:
    """What a set came to with one factor, a row a person."""

    shown: npt.NDArray[np.float64]  # (P,) SSIMULACRA2 of the face's square
    own: npt.NDArray[np.float64]  # (P, R) linked to the original, 0 or 1
    across: npt.NDArray[np.float64]  # (P, R) share of the other photos that are linked
    distance: npt.NDArray[np.float64]  # (P, R) mean distance to the other photos, of the threshold's
    seconds: float  # of a processor, a face


def print_surrogates(pack: Path, detector: Detector, identities: Path, number: int, smoke: bool) -> None:
    """Print what each set of surrogates is worth to the photos of `number` people."""
    people = _people(detector, identities, number)
    apart = [_Apart.of(OnnxRecogniser.load(REFERENCE / name, CPU), people) for name in APART]
    sets = _sets(pack)
    clean = _asked(people, [person.photo for person in people], apart)
    print(f"{len(people)} people, {sum(len(person.others) for person in people)} other photos, FAR {FAR:g}; worse view")
    print(f"recognisers that took no part: {', '.join(APART)}")
    print(
        f"{'attacked':10} {'bounds':>6} {'SSIMULACRA2':>11} {'own':>9} {'others':>7} {'distance':>8} {'CPU s/face':>10}"
    )
    print(f"{'nothing':10} {'':6} {100:11.1f} {_cells(*(part.mean() for part in clean))}")
    curves: dict[str, list[Reached]] = {name: [] for name in sets}
    for factor in FACTORS[:1] if smoke else FACTORS:
        for name, surrogates in sets.items():
            reached = _reach(people, surrogates, apart, _budget(factor, {"steps": 2} if smoke else {}))
            curves[name].append(reached)
            means = (part.mean() for part in (reached.own, reached.across, reached.distance))
            print(
                f"{name:10} {factor:6.2f} {reached.shown.mean():11.1f} {_cells(*means)} {reached.seconds:10.1f}",
                flush=True,
            )
    if not smoke:
        _print_levelled(curves, len(people))


def _cells(own: float, across: float, distance: float) -> str:
    return f"{own:9.0%} {across:7.1%} {distance:8.3f}"


def _sets(pack: Path) -> Mapping[str, list[Recogniser]]:
    """Return what is attacked: what comes with uncnn, and where `pack` has others those alone and all together."""
    shipped, others = _surrogates(EMBEDDED), [] if pack == EMBEDDED else _surrogates(pack)
    return {SHIPPED: shipped, **({"pack": others, "both": [*shipped, *others]} if others else {})}


def _surrogates(folder: Path) -> list[Recogniser]:
    folders = [file.parent for file in sorted(folder.glob("*/card.yaml"))]
    return [load_recogniser(each) for each in folders if read_card(each).role == "surrogate"]


def _people(detector: Detector, identities: Path, number: int) -> list[Person]:
    folders = sorted(path for path in identities.iterdir() if path.is_dir())
    chosen = folders[:: max(len(folders) // number, 1)][:number]
    return [_person(detector, sorted(folder.glob("*.jpg"))[: 1 + OTHERS]) for folder in chosen]


def _person(detector: Detector, files: Sequence[Path]) -> Person:
    photos = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    faces = [main_face(detector.detect(photo), photo.shape) for photo in photos]
    return Person(photos[0], faces[0], tuple(zip(photos[1:], faces[1:], strict=True)))


def _reach(
    people: Sequence[Person], surrogates: Sequence[Recogniser], apart: Sequence[_Apart], budget: Budget
) -> Reached:
    started = time.process_time()
    released = [
        cloak
        for start in range(0, len(people), TOGETHER)
        for cloak in _cloak(people[start : start + TOGETHER], surrogates, budget)
    ]
    seconds = (time.process_time() - started) / len(people)
    shown = [_shown(person, cloak) for person, cloak in zip(people, released, strict=True)]
    return Reached(np.array(shown), *_asked(people, released, apart), seconds)


def _cloak(people: Sequence[Person], surrogates: Sequence[Recogniser], budget: Budget) -> list[Pixels]:
    faces_in_photos = [FaceInPhoto(person.photo, person.face, seed=0) for person in people]
    patches = perturb_all(faces_in_photos, make_attack("veil", {}), surrogates, budget)
    return [compose(person.photo, [patch])[0] for person, patch in zip(people, patches, strict=True)]


def _budget(factor: float, settings: Mapping[str, int]) -> Budget:
    """Return the budget of `balanced` with every bound times `factor`; that of the rms goes with its square root."""
    usual = make_budget("balanced", settings)
    return replace(
        usual,
        epsilon_255=usual.epsilon_255 * factor,
        texture=usual.texture * factor,
        cap_255=usual.cap_255 * factor,
        rms=usual.rms * factor**0.5,
    )


def _shown(person: Person, released: Pixels) -> float:
    square = region_of(np.array(person.face.landmarks), 0).clipped(*person.photo.shape[:2])
    return ssimulacra2(person.photo[square], released[square]) or 100.0


def _asked(
    people: Sequence[Person], released: Sequence[Pixels], apart: Sequence[_Apart]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what each recogniser says of each published photo: own links, links to others, distance to others."""
    rows = [[each.ask(number, person, released[number]) for each in apart] for number, person in enumerate(people)]
    own, across, distance = np.moveaxis(np.array(rows, np.float64), 2, 0)
    return own, across, distance


def _jpeg(photo: Pixels) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer))


def _print_levelled(curves: Mapping[str, Sequence[Reached]], people: int) -> None:
    """Print all sets at the visibility of the shipped ones, and how they differ."""
    everyone = np.arange(people)
    print("at the shipped ones' SSIMULACRA2 [95 %, people drawn again]; by half: of every second person, of the others")
    drawn = np.random.default_rng(0).integers(0, people, (DRAWS, people))
    for name in curves:
        values = _at(curves, name, everyone)
        halves = [_at(curves, name, everyone[start::2])[1] for start in (0, 1)]
        bounds = np.percentile([_at(curves, name, some)[1] for some in drawn], [2.5, 97.5])
        print(
            f"{name:10} {_cells(*values)}  others linked {values[1]:.1%} [{bounds[0]:.1%}, {bounds[1]:.1%}], "
            f"by half {halves[0]:.1%}, {halves[1]:.1%}"
        )
    for name in curves:
        if name != SHIPPED:
            more = [np.subtract(_at(curves, name, some), _at(curves, SHIPPED, some)) for some in drawn]
            low, high = np.percentile(more, [2.5, 97.5], axis=0)
            print(
                f"{name} less shipped: others linked [{low[1]:+.1%}, {high[1]:+.1%}], "
                f"distance [{low[2]:+.3f}, {high[2]:+.3f}]"
            )


def _at(
    curves: Mapping[str, Sequence[Reached]], name: str, people: npt.NDArray[np.int64]
) -> tuple[float, float, float]:
    """Return own links, links to others and distance of some of the people at the visibility of the shipped set."""
    level = float(np.mean([each.shown[people].mean() for each in curves[SHIPPED]]))
    points = sorted(
        (each.shown[people].mean(), *(part[people].mean() for part in (each.own, each.across, each.distance)))
        for each in curves[name]
    )
    shown = [point[0] for point in points]
    own, across, distance = (float(np.interp(level, shown, [point[part] for point in points])) for part in (1, 2, 3))
    return own, across, distance
