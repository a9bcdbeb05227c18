"""A person's own mask beside `veil`, on photos of the person that the mask was not made from.

    python benchmarks/mask.py                              6 people of LFW: masks from 5 photos each, judged on 4 others
    python benchmarks/mask.py --masks DIR                  the same, and masks are kept in DIR and not made again
    python benchmarks/mask.py --attack mask --strength utmost    some of the rows
    python benchmarks/mask.py --attack mask --strength utmost --times 1.5    wider bounds than any strength has
    python benchmarks/mask.py --smoke                      two people, masks of 2 steps

The three recognisers that ship are attacked; six others are asked, at FAR 1e-3: mean cosine to the own original, links
to it (*own*), to the person's other clean photos among those judged (*cross*), and of cloaked photos of one person to
each other (*cc*), mean of the six and the one that links most. JPEG 92, 4:4:4. JOD: phone, desktop, twice as large as
there. `seen` are the photos that the masks were made from. Nothing about masks was tuned on any of these people.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from common import CPU, JUDGES, REFERENCE, is_missing, options_of, set_torch_up, surrogates
from onepass import OUTSIDE, Portrait, as_jpeg, links, portraits_of

from uncnn.daemon.commands.people import MASK_STEPS, MASK_STRENGTH
from uncnn.daemon.verify.displays import on_displays
from uncnn.plugins.api import Attack, Budget, Change, Faces, Loss
from uncnn.plugins.attacks.veil import Veil
from uncnn.plugins.engine.aligned import face_in_frame
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.mask_maker import make_mask
from uncnn.plugins.engine.patches import FaceInPhoto, Patch
from uncnn.plugins.engine.rendering import compose
from uncnn.plugins.person_mask import PersonMask
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import STRENGTHS

ENROLLED: Final = 5
JUDGED: Final = 4
PEOPLE: Final = 6
HEAD: Final = "| | cosine | own | cross | cc | phone, desktop, twice |\n|---|---|---|---|---|---|"
ROWS: Final = ("none", "veil", "mask", "seen")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mask as an attack: no recogniser is asked."""

    mask: PersonMask

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what the mask draws."""
        del loss, budget
        return self.mask.change(faces)


@dataclass(frozen=True, slots=True)
class Untouched:
    """No change at all: what recognisers say of the photos as they are."""

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return nothing."""
        del loss, budget
        return Change(faces.patches * 0)


def main() -> None:
    """Print the seconds that masks take, and the table."""
    parser = options_of(__doc__)
    parser.add_argument("--masks", type=Path, help="a folder for the masks")
    parser.add_argument("--attack", choices=ROWS, action="append")
    parser.add_argument("--strength", choices=[*STRENGTHS], action="append")
    parser.add_argument("--times", type=float, default=1.0, help="so many times the bounds of the strength")
    parser.add_argument("--steps", type=int, default=MASK_STEPS)
    parser.add_argument("--made-for", choices=[*STRENGTHS], default=MASK_STRENGTH)
    parser.add_argument("--enrolled", type=int, default=ENROLLED)
    options = parser.parse_args()
    if is_missing(options.data / "lfw", REFERENCE):
        return
    set_torch_up()
    people = list(_people(options.data / "lfw" / "identities", 2 if options.smoke else PEOPLE))
    attacked = surrogates()
    steps, strengths = options.steps, options.strength or ["balanced"]
    enrolled = [person[ENROLLED - options.enrolled : ENROLLED] for person in people]
    judged = [person[ENROLLED:] for person in people]
    if options.smoke:
        steps, enrolled, judged = 2, [each[:2] for each in enrolled], [each[:2] for each in judged]
    rows, masks = options.attack or ROWS, []
    if {"mask", "seen"} & {*rows}:
        masks = [_mask(person, attacked, STRENGTHS[options.made_for], steps, options.masks) for person in enrolled]
        _print_speed(enrolled[0][0], masks[0])
    asked = [OnnxRecogniser.load(REFERENCE / name, CPU) for name in OUTSIDE[: 1 if options.smoke else None]]
    print(f"{len(judged)} people, {sum(map(len, judged))} photos; {', '.join(JUDGES)} and others are asked\n{HEAD}")
    for strength in strengths:
        budget = _wider(STRENGTHS[strength], options.times)
        if options.smoke:
            budget = replace(budget, steps=1)
        for row in rows:
            photos = enrolled if row == "seen" else judged
            attacks: list[Attack] = [Drawn(mask) for mask in masks]
            if row in {"none", "veil"}:
                attacks = [Untouched() if row == "none" else Veil()] * len(photos)
            print(f"| {row}, {strength} | {_row(photos, attacks, attacked, budget, asked)} |", flush=True)


def _wider(budget: Budget, times: float) -> Budget:
    """Return a budget with so many times the bounds."""
    bounds = ("visibility", "contrast", "epsilon_255", "texture", "cap_255", "rms")
    return replace(budget, **{name: times * getattr(budget, name) for name in bounds})


def _people(folder: Path, number: int) -> Iterator[list[Portrait]]:
    """Yield photos of people who have enough of them."""
    need = ENROLLED + JUDGED
    several = [each for each in sorted(folder.iterdir()) if len(list(each.iterdir())) > need]
    found = (list(portraits_of([each], need)) for each in several[:60:7])
    return islice((each for each in found if len(each) == need), number)


def _mask(
    photos: Sequence[Portrait], attacked: Sequence[Recogniser], budget: Budget, steps: int, folder: Path | None
) -> PersonMask:
    """Return the mask of a person, made now or earlier."""
    file = None if folder is None else folder / f"{photos[0].person}.npz"
    if file is not None and file.exists():
        return PersonMask.load(file)
    began, cores = time.perf_counter(), time.process_time()
    pictures = [(each.photo, np.array(each.face.landmarks)) for each in photos]
    mask = make_mask(pictures, attacked, budget, steps)
    seconds = f"{time.perf_counter() - began:.0f} s, {time.process_time() - cores:.0f} of a core"
    print(f"{photos[0].person}: a mask from {len(photos)} photos in {steps} steps, {seconds}", flush=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        mask.save(file)
    return mask


def _print_speed(portrait: Portrait, mask: PersonMask) -> None:
    """Print how long it takes on a core to draw a mask on a face whose place is known."""
    points, budget = np.array(portrait.face.landmarks), STRENGTHS["balanced"]
    bound, drawn = [], []
    for _ in range(7):
        began = time.thread_time()
        faces = face_in_frame(portrait.photo, points, budget, 0, "cpu")
        middle = time.thread_time()
        mask.change(faces)
        bound.append(middle - began)
        drawn.append(time.thread_time() - middle)
    milliseconds = [1000 * float(np.median(each)) for each in (drawn, bound)]
    print(f"drawn in {milliseconds[0]:.0f} ms of a core, after {milliseconds[1]:.0f} ms for the bounds of the face")


def _row(
    people: Sequence[Sequence[Portrait]],
    attacks: Sequence[Attack],
    attacked: Sequence[Recogniser],
    budget: Budget,
    asked: Sequence[OnnxRecogniser],
) -> str:
    portraits = [each for person in people for each in person]
    patches: list[list[Patch]] = []
    for person, attack in zip(people, attacks, strict=True):
        for each in person:
            face = FaceInPhoto(each.photo, each.face, len(patches))
            patches.append(perturb_all([face], attack, attacked, budget))
    copies = [as_jpeg(compose(each.photo, own)[0]) for each, own in zip(portraits, patches, strict=True)]
    cosine, *shares = np.array([links(portraits, copies, each) for each in asked]).T
    shown = [on_displays(each.photo, copy, [each.face])[0] for each, copy in zip(portraits, copies, strict=True)]
    seen = [np.mean([jod.phone for jod in shown]), np.mean([jod.desktop for jod in shown])]
    seen.append(np.mean([jod.zoom for jod in shown if jod.zoom is not None]))
    cells = [f"{cosine.mean():.3f}", *(f"{each.mean():.0%}, {each.max():.0%}" for each in shares)]
    return " | ".join([*cells, ", ".join(f"{value:.2f}" for value in seen)])


if __name__ == "__main__":
    main()
