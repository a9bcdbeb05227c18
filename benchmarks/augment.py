"""What a recogniser learns from spoofed faces: matches of clean and of cloaked photos, before and after.

    python benchmarks/augment.py                       esp-mfn, madry, half an hour of two cores, then what came of it
    python benchmarks/augment.py --form trades --minutes 10 --keep DIR    another form; the weights stay in DIR, and a
                                                       run that was stopped goes on there
    python benchmarks/augment.py --teacher pgd --teacher veil    spoofed by these in turn
    python benchmarks/augment.py --read DIR            only measure the weights of DIR
    python benchmarks/augment.py --read DIR --attack fawkes --attack mi-fgsm     cloaked by these instead of `veil`
    python benchmarks/augment.py --read DIR --ensemble      cloaked against all recognisers that ship, as photos are
    python benchmarks/augment.py --read DIR --only-clean    clean photos alone, of all 211 people
    python benchmarks/augment.py --smoke               two batches and two people

It learns from faces of 5,768 photos of people of LFW whom it is not measured on, spoofed by `pgd` against itself; its
teacher is itself as published: of a spoofed face it is to say what that said of the face as it is. Nobody's name is
used. Then two photos of each of 60 other people, one of them cloaked by attacks that it was not taught with: against
the recogniser as published (the cloak that people publish), and by the first of them against each network itself, as an
attacker who has it would. A match: the cosine to the clean photo is beyond what 1 of 1,000 pairs of strangers has. In
brackets: 95 % intervals over people, Wilson's; of points gained Newcombe's for pairs.
"""

from __future__ import annotations

import copy
import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

import numpy as np
import numpy.typing as npt
import torch
from common import EMBEDDED, detector, is_missing, options_of, save_whole, surrogates
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from uncnn.augment import Embedding, Lessons, Spoof, learn
from uncnn.daemon.evaluate.intervals import rate, wilson
from uncnn.exporters.augment.learning import Form
from uncnn.exporters.train.faces import read_faces
from uncnn.exporters.train.robust import draw
from uncnn.plugins import geometry
from uncnn.plugins.api import Detector, Face, Pixels, UncnnError
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.patches import FaceInPhoto
from uncnn.plugins.engine.rendering import compose
from uncnn.plugins.recognisers.onnx_recogniser import crop
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import STRENGTHS, make_attack

PEOPLE: Final = 60
BATCH: Final = 16
RATE: Final = 2e-4
HARDENED: Final = "esp-mfn"
FILE: Final = "augmented.pt"
COURSE: Final = "course.txt"
PART: Final = "augmented.part.pt"
STRANGERS: Final = 400
"""Of LFW's distractors: their clean photos say where 1 of 1,000 pairs lies; none of them is measured."""

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Train, unless told to read, and print the table."""
    parser = options_of(__doc__)
    parser.add_argument("--form", choices=get_args(Form), default="madry")
    parser.add_argument("--teacher", action="append", help="attack that it is taught with (default pgd)")
    parser.add_argument("--minutes", type=float, default=25.0, help="of training (default 25)")
    parser.add_argument("--keep", type=Path, help="the folder to keep the weights in")
    parser.add_argument("--strength", default="balanced", help="of the cloaks that are judged (default balanced)")
    parser.add_argument("--read", type=Path, help="the folder of weights that are there")
    parser.add_argument("--attack", action="append", help="of these cloaks, again and again (default veil)")
    parser.add_argument("--ensemble", action="store_true", help="cloak against all that ship")
    parser.add_argument("--only-clean", action="store_true", help="cloak nothing, and ask of all people")
    options = parser.parse_args()
    folder = EMBEDDED / HARDENED
    identities = options.data / "lfw" / "identities"
    if is_missing(identities, options.data / "faces-144", folder):
        return
    published = load_recogniser(folder)
    length = (0.0, 4) if options.smoke else (options.minutes * 60, BATCH)
    course = Course(options.form, tuple(options.teacher or ["pgd"]), *length, options.keep)
    read = options.read or course.ended()
    network = taught(load_recogniser(folder), read)
    if read is None:
        _train(network, published, options.data / "faces-144", course)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), options.keep / FILE)
        (options.keep / PART).unlink(missing_ok=True)
    attacks = options.attack or ["veil"]
    attacked = surrogates() if options.ensemble else [published]
    people = 2 if options.smoke else PEOPLE
    if options.only_clean or options.smoke:
        _measure_clean(published, network.eval(), options.data / "lfw", 4 if options.smoke else None)
    if options.only_clean:
        return
    _measure(published, network.eval(), options.data / "lfw", people, attacked, attacks, options.strength)


@dataclass(frozen=True, slots=True)
class Course:
    """How, by which attacks and for how long a network is taught, and where a course that was stopped goes on."""

    form: Form
    teachers: tuple[str, ...]
    seconds: float
    batch: int
    keep: Path | None

    @property
    def name(self) -> str:
        """Return what it is told apart by: for how long does not count."""
        return f"{self.form}, {' and '.join(self.teachers)}, {self.batch} a batch"

    def ended(self) -> Path | None:
        """Return the folder if the course was run to its end there. Raises UncnnError: another one was begun there."""
        if self.keep is None or not (said := self.keep / COURSE).exists():
            return None
        if said.read_text().strip() != self.name:
            raise UncnnError(f"{self.keep}: it is of another course ({said.read_text().strip()}): name another --keep")
        return self.keep if (self.keep / FILE).exists() else None

    def begin(self) -> None:
        """Say in the folder which course it is."""
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / COURSE).write_text(f"{self.name}\n")


class InTurn:
    """Spoofs of several attacks, each for every so many batches."""

    closed_set: Final = False

    def __init__(self, spoofs: Sequence[Spoof]) -> None:
        """Begin with the first."""
        self._spoofs = itertools.cycle(spoofs)

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images with changes in some of them, and the labels."""
        return next(self._spoofs)(images, labels)


def _train(network: Embedding, published: Recogniser, folder: Path, course: Course) -> None:
    """Teach it, from where the course was stopped."""
    course.begin()
    faces, _ = read_faces(folder, training=True)
    held_out, _ = read_faces(folder, training=False)
    spoof = InTurn([Spoof([network], attack=name, p=0.8, strength="balanced", steps=3) for name in course.teachers])
    stronger = Spoof([network], attack=course.teachers[0], p=1.0, strength="balanced", steps=8)
    check = next(_batches(held_out, published, 0.0, course.batch))
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.0)
    part = None if course.keep is None else course.keep / PART
    lessons = Lessons(course.form, weight=2.0, every=50)
    (used, best), began = gone_on(network, optimiser, part), time.monotonic()

    def withstands(current: nn.Module) -> float:
        with torch.no_grad():
            return float(functional.cosine_similarity(current(stronger(check[0])), check[1]).mean())

    def told(current: nn.Module) -> float:
        nonlocal best
        value, seconds = withstands(current), used + time.monotonic() - began
        print(f"  {seconds:.0f} s: {value:.3f} of itself is left", flush=True)
        if part is not None and value >= lessons.least * best:  # what has collapsed is not gone on with
            best = max(best, value)
            leave(network, optimiser, part, seconds, best)
        return value

    words = "before" if not used else f"after {used:.0f} s"
    print(f"{words}: {withstands(network.eval()):.3f} under 8 steps of {course.teachers[0]}", flush=True)
    batches = _batches(faces, published, course.seconds - used, course.batch, int(used))
    checks = learn(network, batches, _wrong, optimiser, spoof, lessons, told)  # type: ignore[arg-type]
    values = " ".join(f"{value:.3f}" for value in checks)
    print(f"{course.name}: {used + time.monotonic() - began:.0f} s; checks {values}", flush=True)


def leave(network: nn.Module, optimiser: torch.optim.Optimizer, part: Path, seconds: float, best: float) -> None:
    """Leave all that a course that is stopped goes on with, whole or not at all."""
    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
    save_whole({**state, "seconds": seconds, "best": best}, part)


def gone_on(network: nn.Module, optimiser: torch.optim.Optimizer, part: Path | None) -> tuple[float, float]:
    """Take up what was left; return the seconds that it took and its best check, 0 and 0 where there is nothing."""
    if part is None or not part.exists():
        return 0.0, 0.0
    left = torch.load(part, weights_only=True)
    network.load_state_dict(left["network"])
    optimiser.load_state_dict(left["optimiser"])
    return float(left["seconds"]), float(left["best"])


def _batches(
    faces: Pixels, published: Recogniser, seconds: float, size: int, seed: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of faces in 0..1 with what the published network says of them, for so long; two at least."""
    random, ends, number = np.random.default_rng(seed), time.monotonic() + seconds, 0
    while number < 2 or time.monotonic() < ends:
        crops = draw(faces, published, size, random)
        with torch.no_grad():
            known = published.outputs(crops)
        yield crops / 255, known
        number += 1


def _wrong(outputs: Tensor, known: Tensor) -> Tensor:
    return 1 - functional.cosine_similarity(outputs, known).mean()


def _measure(
    published: Recogniser,
    network: Embedding,
    lfw: Path,
    people: int,
    attacked: Sequence[Recogniser],
    attacks: Sequence[str],
    strength: str,
) -> None:
    folders = [each for each in sorted((lfw / "identities").iterdir()) if len(list(each.iterdir())) >= 2]
    step = max(len(folders) // people, 2)
    chosen = folders[::step][:people]
    pairs = _pairs(chosen)
    strangers = _strangers(lfw, 5 * people)
    after = hardened(published, network)
    clean = [one for one, _ in pairs]
    cloaks = [_cloaked(clean, attacked, attack, strength) for attack in attacks]
    against_itself = _cloaked(clean, [after], attacks[0], strength)
    print(f"{len(pairs)} people, {len(strangers)} strangers, {strength}")
    whom = "the published one" if len(attacked) == 1 else "all that ship"
    titles = ["", "clean photos", *(f"{attack}, against {whom}" for attack in attacks)]
    print(f"| {' | '.join(titles)} | {attacks[0]}, against itself |\n|{'---|' * (len(titles) + 1)}")
    figures = [
        _matches(model, pairs, strangers, [*cloaks, own])
        for model, own in ((published, cloaks[0]), (after, against_itself))
    ]
    for name, rows in zip(("published", "taught"), figures, strict=True):
        print(f"| {name} | " + " | ".join(_told(row) for row in rows) + " |")
    gains = [gained(before, after) for before, after in zip(*figures, strict=True)]
    print(
        "| points gained | " + " | ".join(f"{value:.1%} ({low:.0%} to {high:.0%})" for value, low, high in gains) + " |"
    )


def _measure_clean(published: Recogniser, network: Embedding, lfw: Path, most: int | None) -> None:
    """Print how many people's second photo each network matches with their first."""
    folders = sorted((lfw / "identities").iterdir())[:most]
    pairs = _pairs(folders)
    strangers = _strangers(lfw, 5 * len(pairs))
    before, after = (_matches(model, pairs, strangers, [])[0] for model in (published, hardened(published, network)))
    value, low, high = gained(before, after)
    print(f"clean photos of {len(pairs)} people, {len(strangers)} strangers: {_told(before)} published, ", end="")
    print(f"{_told(after)} taught, {value:.1%} ({low:.1%} to {high:.1%}) gained")


def _pairs(folders: Sequence[Path]) -> list[tuple[tuple[Pixels, Face], tuple[Pixels, Face]]]:
    """Return the first two photos of each person, of those with a face on both."""
    both = [[_photo(file) for file in sorted(each.iterdir())[:2]] for each in folders]
    return [(one, other) for one, other in both if one and other]


def _strangers(lfw: Path, number: int) -> list[tuple[Pixels, Face]]:
    """Return photos of so many of LFW's distractors, but for those without a face; of `STRANGERS` at most."""
    folders = sorted((lfw / "distractors").iterdir())[: min(STRANGERS, number)]
    photos = [_photo(sorted(each.iterdir())[0]) for each in folders]
    return [each for each in photos if each]


def taught(published: Recogniser, folder: Path | None) -> Embedding:
    """Return a recogniser's network, with the weights that `--keep` left in a folder."""
    network = Embedding(published)
    if folder is not None:
        network.load_state_dict(torch.load(folder / FILE, weights_only=True))
    return network


def hardened(published: Recogniser, network: Embedding) -> Recogniser:
    """Return the published recogniser with the weights of a network."""
    return replace(published, network=copy.deepcopy(network.network).requires_grad_(False).eval())


def _photo(file: Path) -> tuple[Pixels, Face] | None:
    """Return a photo with its largest face; None where none is found."""
    with Image.open(file) as image:
        photo = np.asarray(image.convert("RGB"))
    faces = _finder().detect(photo)
    return (photo, max(faces, key=lambda face: face.size_px)) if faces else None


@functools.cache
def _finder() -> Detector:
    return detector()


def _cloaked(
    photos: Sequence[tuple[Pixels, Face]], models: Sequence[Recogniser], attack: str, strength: str
) -> list[tuple[Pixels, Face]]:
    made, budget = make_attack(attack, {}), STRENGTHS[strength]
    return [
        (compose(photo, perturb_all([FaceInPhoto(photo, face, seed)], made, models, budget))[0], face)
        for seed, (photo, face) in enumerate(photos)
    ]


def _matches(
    model: Recogniser,
    pairs: Sequence[tuple[tuple[Pixels, Face], tuple[Pixels, Face]]],
    strangers: Sequence[tuple[Pixels, Face]],
    cloaks: Sequence[Sequence[tuple[Pixels, Face]]],
) -> list[Floats]:
    """Return whether each person's photo matches the clean other one, 0 or 1: as it is, and cloaked in each way."""
    gallery = _embedded(model, [other for _, other in pairs])
    probes = [_embedded(model, each) for each in ([one for one, _ in pairs], *cloaks)]
    others = _embedded(model, strangers)
    cosines = (others @ others.T)[np.triu_indices(len(others), 1)]
    limit = np.quantile(cosines, 0.999)
    means = ", ".join(f"{(each * gallery).sum(1).mean():.3f}" for each in probes)
    print(f"mean cosine to the clean other photo, clean and cloaked in each way: {means}; a match from {limit:.3f} on")
    return [((each * gallery).sum(1) >= limit).astype(np.float64) for each in probes]


@torch.no_grad()
def _embedded(model: Recogniser, photos: Sequence[tuple[Pixels, Face]]) -> Floats:
    template, height, width = model.frame
    crops = []
    for photo, face in photos:
        (matrix,) = geometry.similarities(np.array(face.landmarks)[None], np.array(template))
        crops.append(crop(photo, matrix, (width, height)))
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    return torch.cat([functional.normalize(model.outputs(part), dim=1) for part in torch.split(pixels, 32)]).numpy()


def _told(values: Floats) -> str:
    found = rate(values, np.arange(len(values)))
    return f"{found.value:.1%} ({found.low:.0%} to {found.high:.0%})"


def gained(before: Floats, after: Floats) -> tuple[float, float, float]:
    """Return by how much the share of ones rises from `before` to `after`, (N,) of the same people, and its interval.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 1998, method 10, 95 %.
    """
    number, (first, second) = len(before), (float(before.mean()), float(after.mean()))
    (low1, high1), (low2, high2) = wilson(first, number), wilson(second, number)
    both, lost = float((before * after).sum()), float((before * (1 - after)).sum())
    won = float(((1 - before) * after).sum())
    neither = number - both - lost - won
    scale = ((both + won) * (lost + neither) * (both + lost) * (won + neither)) ** 0.5
    alike = both * neither - won * lost
    alike = max(alike - number / 2, 0.0) if alike > 0 else alike
    phi = alike / scale if scale else 0.0

    def reach(one: float, other: float) -> float:
        return max(one**2 - 2 * phi * one * other + other**2, 0.0) ** 0.5

    rise = second - first
    return rise, rise - reach(second - low2, high1 - first), rise + reach(high2 - second, first - low1)


if __name__ == "__main__":
    main()
