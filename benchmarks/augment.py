"""What a recogniser learns from spoofed faces: matches of clean and of cloaked photos, before and after.

    python benchmarks/augment.py                       esp-mfn, madry, half an hour of two cores, then what came of it
    python benchmarks/augment.py --form trades --minutes 10 --keep DIR    another form; the weights stay in DIR
    python benchmarks/augment.py --read DIR            only measure the weights of DIR
    python benchmarks/augment.py --read DIR --attack fawkes --attack mi-fgsm     cloaked by these instead of `veil`
    python benchmarks/augment.py --read DIR --ensemble      cloaked against all recognisers that ship, as photos are
    python benchmarks/augment.py --smoke               two batches and two people

It learns from faces of 5,768 photos of people of LFW whom it is not measured on, spoofed by `pgd` against itself; its
teacher is itself as published: of a spoofed face it is to say what that said of the face as it is. Nobody's name is
used. Then two photos of each of 60 other people, one of them cloaked by attacks that it was not taught with: against
the recogniser as published (the cloak that people publish), and by the first of them against each network itself, as an
attacker who has it would. A match: the cosine to the clean photo is beyond what 1 of 1,000 pairs of two people has. In
brackets: 95 % intervals, bootstrapped over people.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

import numpy as np
import numpy.typing as npt
import torch
from common import EMBEDDED, detector, is_missing, options_of, surrogates
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from uncnn.augment import Embedding, Lessons, Spoof, learn
from uncnn.exporters.augment.learning import Form
from uncnn.exporters.train.faces import read_faces
from uncnn.exporters.train.robust import draw
from uncnn.plugins import geometry
from uncnn.plugins.api import Detector, Face, Pixels
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
STRANGERS: Final = 250
"""Whose clean photos say where 1 of 1,000 pairs lies, beside those of the people who are measured."""

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Train, unless told to read, and print the table."""
    parser = options_of(__doc__)
    parser.add_argument("--form", choices=get_args(Form), default="madry")
    parser.add_argument("--minutes", type=float, default=25.0, help="of training (default 25)")
    parser.add_argument("--keep", type=Path, help="the folder to keep the weights in")
    parser.add_argument("--strength", default="balanced", help="of the cloaks that are judged (default balanced)")
    parser.add_argument("--read", type=Path, help="the folder of weights that are there")
    parser.add_argument("--attack", action="append", help="of these cloaks, again and again (default veil)")
    parser.add_argument("--ensemble", action="store_true", help="cloak against all that ship")
    options = parser.parse_args()
    folder = EMBEDDED / HARDENED
    identities = options.data / "lfw" / "identities"
    if is_missing(identities, options.data / "faces-144", folder):
        return
    published = load_recogniser(folder)
    network = taught(load_recogniser(folder), options.read)
    if options.read is None:
        length = (0.0, 4) if options.smoke else (options.minutes * 60, BATCH)
        _train(network, published, options.data / "faces-144", options.form, *length)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), options.keep / FILE)
    attacks = options.attack or ["veil"]
    attacked = surrogates() if options.ensemble else [published]
    people = 2 if options.smoke else PEOPLE
    _measure(published, network.eval(), identities, people, attacked, attacks, options.strength)


def _train(network: Embedding, published: Recogniser, folder: Path, form: Form, seconds: float, size: int) -> None:
    faces, _ = read_faces(folder, training=True)
    held_out, _ = read_faces(folder, training=False)
    spoof = Spoof([network], attack="pgd", p=0.8, strength="balanced", steps=3)
    stronger = Spoof([network], attack="pgd", p=1.0, strength="balanced", steps=8)
    check = next(_batches(held_out, published, 0.0, size))

    def withstands(current: nn.Module) -> float:
        with torch.no_grad():
            return float(functional.cosine_similarity(current(stronger(check[0])), check[1]).mean())

    print(f"before: {withstands(network.eval()):.3f} of itself is left under 8 steps of pgd", flush=True)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.0)
    began = time.perf_counter()
    lessons = Lessons(form, weight=2.0, every=50)
    checks = learn(network, _batches(faces, published, seconds, size), _wrong, optimiser, spoof, lessons, withstands)
    print(f"{form}: {time.perf_counter() - began:.0f} s; checks", *(f"{value:.3f}" for value in checks), flush=True)


def _batches(faces: Pixels, published: Recogniser, seconds: float, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of faces in 0..1 with what the published network says of them, for so long; two at least."""
    random, ends, number = np.random.default_rng(0), time.monotonic() + seconds, 0
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
    identities: Path,
    people: int,
    attacked: Sequence[Recogniser],
    attacks: Sequence[str],
    strength: str,
) -> None:
    folders = [each for each in sorted(identities.iterdir()) if len(list(each.iterdir())) >= 2]
    step = max(len(folders) // people, 2)
    chosen = folders[::step][:people]
    photos = [_photo(file) for each in chosen for file in sorted(each.iterdir())[:2]]
    pairs = [(one, other) for one, other in zip(photos[::2], photos[1::2], strict=True) if one and other]
    others = [each for each in folders if each not in chosen][: min(STRANGERS, 5 * people)]
    strangers = [_photo(sorted(each.iterdir())[0]) for each in others]
    after = hardened(published, network)
    clean = [one for one, _ in pairs]
    cloaks = [_cloaked(clean, attacked, attack, strength) for attack in attacks]
    against_itself = _cloaked(clean, [after], attacks[0], strength)
    print(f"{len(pairs)} people, {len(strangers)} strangers, {strength}")
    whom = "the published one" if len(attacked) == 1 else "all that ship"
    titles = ["", "clean photos", *(f"{attack}, against {whom}" for attack in attacks)]
    print(f"| {' | '.join(titles)} | {attacks[0]}, against itself |\n|{'---|' * (len(titles) + 1)}")
    figures = [
        _matches(model, pairs, [each for each in strangers if each], [*cloaks, own])
        for model, own in ((published, cloaks[0]), (after, against_itself))
    ]
    for name, rows in zip(("published", "taught"), figures, strict=True):
        print(f"| {name} | " + " | ".join(_told(row) for row in rows) + " |")
    gained = [_told(after - before) for before, after in zip(*figures, strict=True)]
    print("| points gained | " + " | ".join(gained) + " |")


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
    others = np.concatenate([gallery, _embedded(model, strangers)])
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
    random = np.random.default_rng(0)
    means = [random.choice(values, len(values)).mean() for _ in range(2000)]
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{values.mean():.1%} ({low:.0%} to {high:.0%})"


if __name__ == "__main__":
    main()
