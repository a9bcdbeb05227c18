"""One pass of a generator beside `veil`: links to outside recognisers, how far both show, seconds a face.

    python benchmarks/onepass.py --generator DIR    24 LFW photos of 8 people, and portraits of five
    python benchmarks/onepass.py --set steps=16,momentum=0.8    `veil` with other values; can be given several times
    python benchmarks/onepass.py --hardened DIR     and with what `augment.py --keep DIR` taught in `esp-mfn`'s place
    python benchmarks/onepass.py --smoke            four photos, and a generator that was taught nothing

DIR is what `python -m uncnn.exporters.train --generator` wrote. The three recognisers that ship are attacked; six
others are asked, at FAR 1e-3: links to the own original, to the person's other clean photos (*cross*), and of her
cloaked photos to each other (*cc*), mean of the six and the one that links most. JPEG 92, 4:4:4, `balanced`. JOD:
phone, desktop, twice as large as there. None of these people is among those that a generator is taught with.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from augment import HARDENED, hardened, taught
from common import CPU, JUDGES, REFERENCE, detector, is_missing, options_of, set_torch_up, surrogates
from PIL import Image

from uncnn.daemon.verify.displays import on_displays
from uncnn.exporters.train.ship import ship_generator
from uncnn.plugins.api import Attack, Budget, Face, Pixels
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.patches import FaceInPhoto
from uncnn.plugins.engine.rendering import compose
from uncnn.plugins.generator.generated import Generator
from uncnn.plugins.generator.network import GeneratorNetwork
from uncnn.plugins.generator.one_pass import OnePass
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import STRENGTHS, make_attack, make_budget

OUTSIDE: Final = ("edgeface-xxs", "mobilefacenet-y1", "mobilefacenet-sirius", "mobilefacenet-casia", *JUDGES)
PHOTOS: Final = 3  # a person
LARGEST_PX: Final = 1600
HEAD: Final = "| | cosine | own | cross | cc | phone, desktop, twice | s a face |\n|---|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo of a person, and where the face is."""

    person: str
    photo: Pixels
    face: Face


def main() -> None:
    """Print a table a set of photos."""
    parser = options_of(__doc__)
    parser.add_argument("--generator", type=Path, help="the folder of a generator; without: veil alone")
    parser.add_argument("--set", action="append", help="parameters of veil and of its budget, with commas between")
    parser.add_argument("--hardened", type=Path, help="the folder of an esp-mfn that is attacked in its place, too")
    options = parser.parse_args()
    people = sorted((options.data / "lfw" / "identities").glob("*"))[100:200:12][:8]
    if is_missing(options.data / "lfw", options.data / "people", REFERENCE):
        return
    set_torch_up()
    sets = {"LFW": people, "portraits": sorted((options.data / "people").iterdir())}
    attacks = {f"veil {words}".strip(): _veil(words) for words in options.set or [""]}
    with tempfile.TemporaryDirectory() as scratch:
        if options.smoke:
            ship_generator(GeneratorNetwork().eval(), [], 0, 0, Path(scratch))
            sets, attacks = {"LFW": people[:2]}, {"veil, 1 step": _veil("steps=1")}
        folder = Path(scratch) if options.smoke else options.generator
        if folder is not None:
            attacks["one pass"] = (OnePass(Generator.load(folder)), STRENGTHS["balanced"])
    asked = [OnnxRecogniser.load(REFERENCE / name, CPU) for name in OUTSIDE]
    attacked = {"": surrogates()}
    if options.hardened:
        attacked[", hardened"] = [_hardened(each, options.hardened) for each in surrogates()]
    for name, folders in sets.items():
        portraits = list(portraits_of(folders, 2 if options.smoke else PHOTOS))
        print(f"{name}: {len(portraits)} photos\n{HEAD}", flush=True)
        for title, (attack, budget) in attacks.items():
            for words, models in attacked.items():
                print(f"| {title}{words} | {_row(portraits, attack, budget, models, asked)} |", flush=True)


def _hardened(model: Recogniser, folder: Path) -> Recogniser:
    """Return a recogniser with the weights of that folder where it is the one that they are of."""
    return hardened(model, taught(model, folder)) if model.card.name == HARDENED else model


def _veil(words: str) -> tuple[Attack, Budget]:
    """Return `veil` and its budget with the values of `words`, such as "steps=16,momentum=0.8"."""
    pairs = (each.split("=", 1) for each in words.split(",") if each)
    values = {name: yaml.safe_load(value) for name, value in pairs}
    strength = values.pop("strength", "balanced")
    return make_attack("veil", values), make_budget(strength, values)


def portraits_of(folders: Sequence[Path], number: int) -> Iterator[Portrait]:
    """Yield the first photos of each person that show a face."""
    finder = detector()
    for folder in folders:
        found = 0
        for file in sorted(folder.iterdir()):
            with Image.open(file) as image:
                upright = image.convert("RGB")
            upright.thumbnail((LARGEST_PX, LARGEST_PX))
            photo = np.asarray(upright)
            faces = finder.detect(photo)
            if faces and found < number:
                found += 1
                yield Portrait(folder.name, photo, max(faces, key=lambda face: face.size_px))


def _row(
    portraits: Sequence[Portrait],
    attack: Attack,
    budget: Budget,
    attacked: Sequence[Recogniser],
    asked: Sequence[OnnxRecogniser],
) -> str:
    began = time.perf_counter()
    patches = [
        perturb_all([FaceInPhoto(each.photo, each.face, seed)], attack, attacked, budget)
        for seed, each in enumerate(portraits)
    ]
    seconds = (time.perf_counter() - began) / len(portraits)
    copies = [as_jpeg(compose(each.photo, own)[0]) for each, own in zip(portraits, patches, strict=True)]
    rows = [links(portraits, copies, recogniser) for recogniser in asked]
    cosine, *shares = np.array(rows).T
    shown = [on_displays(each.photo, copy, [each.face])[0] for each, copy in zip(portraits, copies, strict=True)]
    seen = [np.mean([jod.phone for jod in shown]), np.mean([jod.desktop for jod in shown])]
    seen.append(np.mean([jod.zoom for jod in shown if jod.zoom is not None]))
    cells = [f"{cosine.mean():.3f}", *(f"{each.mean():.0%}, {each.max():.0%}" for each in shares)]
    return " | ".join([*cells, ", ".join(f"{value:.2f}" for value in seen), f"{seconds:.2f}"])


def links(
    portraits: Sequence[Portrait], copies: Sequence[Pixels], recogniser: OnnxRecogniser
) -> tuple[float, float, float, float]:
    """Return the mean cosine to the own original and the shares of links: own, cross, cloaked to cloaked."""
    clean = [_embedded(recogniser, each.photo, each.face) for each in portraits]
    cloaked = [_embedded(recogniser, copy, each.face) for copy, each in zip(copies, portraits, strict=True)]

    def linked(one: Floats, other: Floats) -> bool:
        return recogniser.card.matches(float(compare(recogniser.card, one[None], other[None])[0]), 1e-3)

    numbers = range(len(portraits))
    pairs = [pair for pair in permutations(numbers, 2) if portraits[pair[0]].person == portraits[pair[1]].person]
    together = [pair for pair in combinations(numbers, 2) if pair in pairs]
    cosines = [
        one @ other / np.linalg.norm(one) / np.linalg.norm(other) for one, other in zip(clean, cloaked, strict=True)
    ]
    return (
        float(np.mean(cosines)),
        float(np.mean([linked(one, other) for one, other in zip(clean, cloaked, strict=True)])),
        float(np.mean([linked(cloaked[one], clean[other]) for one, other in pairs])),
        float(np.mean([linked(cloaked[one], cloaked[other]) for one, other in together])),
    )


def _embedded(recogniser: OnnxRecogniser, photo: Pixels, face: Face) -> Floats:
    embedding: Floats = recogniser.embed(photo, np.array(face.landmarks)[None])[0]
    return embedding


def as_jpeg(photo: Pixels) -> Pixels:
    """Return a photo as it comes out of a JPEG file of quality 92, 4:4:4."""
    with io.BytesIO() as file:
        Image.fromarray(photo).save(file, "JPEG", quality=92, subsampling=0)
        return np.asarray(Image.open(file))


if __name__ == "__main__":
    main()
