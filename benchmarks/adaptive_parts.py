"""The parts of `adaptive.py`: what each adversary does with the copies, and the lines that say what it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from adaptive_detector import AFTER, CloakDetector, after, alarm, cloak_detector, scores
from adaptive_learning import Course, distilled, named, seen_anew
from adaptive_pairs import POINTS_144, Pairs, decoded, encoded
from adaptive_photos import Judged, Looked, aligned, kept, mean
from adaptive_purifier import GUIDE, Purifier, purified, purifier
from adaptive_scores import HEAD, Known, line_of, rates_of, together
from adaptive_views import Ladder, View, ladders, views
from common import REFERENCE
from torch import nn

from uncnn.daemon.evaluate.intervals import rate
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser

SHORT: Final = ("as published", "JPEG 40", "mirrored")  # what is tried in small
TOGETHER_TOO: Final = ("as published", "denoised and enlarged")  # and all means, before all judges at once
OWN: Final = "mobilefacenet-y1"  # the recogniser that adversaries start from
TO_DISTIL: Final = Course(240)
TO_NAME: Final = Course(240, rate=2e-4)
TO_PURIFY: Final = Course(160, rate=2e-3)
TO_FIND: Final = Course(2000, rate=3e-3)


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What every part works on."""

    judges: Sequence[OnnxRecogniser]
    judged: Judged
    known: Known
    pairs: Callable[[], Pairs]  # to learn from
    keep: Path  # with what adversaries learned
    seen: Path  # what judges see in the copies
    smoke: bool

    def short(self, course: Course) -> Course:
        """Return a course, or as little of it as shows that it runs."""
        return replace(course, steps=2, batch=2) if self.smoke else course


def climb(ground: Ground) -> None:
    """Print what each ladder leaves of the cloak, and what it costs on files without one."""
    by_name = views()
    if ground.smoke:
        by_name = {name: by_name[name] for name in by_name if "landmarks" in name or name in SHORT}
    print(HEAD, flush=True)
    for ladder in ladders(by_name):
        if set(ladder.views) <= set(by_name):
            copies, files = (_seen(ground, ladder, by_name, cloak) for cloak in (True, False))
            print(line_of(ladder.name, *(rates_of(ground.known, seen) for seen in (copies, files))), flush=True)
            if len(ladder.views) > 1 or ladder.name in TOGETHER_TOO:
                fused = (rates_of(*together(ground.known, seen)) for seen in (copies, files))
                print(line_of(f"{ladder.name}, judges together", *fused), flush=True)


def _seen(ground: Ground, ladder: Ladder, by_name: Mapping[str, View], cloak: bool) -> dict[str, Embeddings]:
    """Return what the judges see of the copies, or of the same files without a cloak, up a ladder; kept."""
    photos = ground.judged.copies if cloak else ground.judged.published
    looks = []
    for name in ladder.views:
        stem = "".join(letter if letter.isalnum() else "-" for letter in name)
        file = ground.seen / f"{stem}{'' if cloak else '-clean'}.npz"
        faces = list(zip(photos, ground.judged.points, strict=True))
        looks.append(kept(file, ground.judges, faces, by_name[name]))
    return {name: mean([look[name] for look in looks]) for name in looks[0]}


def distil(ground: Ground) -> None:
    """Print what a student of the tool sees, beside the recogniser that it was."""
    print(HEAD, flush=True)
    _tell_seen(f"{OWN} as published", load_recogniser(REFERENCE / OWN), ground.judged)
    _tell_seen("student", _learned(ground, "student", TO_DISTIL, distilled), ground.judged)


def name_people(ground: Ground) -> None:
    """Print what a recogniser sees that learned the names of other people from their cloaked photos."""
    print(HEAD, flush=True)
    _tell_seen("fine-tuned on names", _learned(ground, "named", TO_NAME, named), ground.judged)


def _learned(
    ground: Ground, name: str, course: Course, teach: Callable[[Path, Pairs, Course], Recogniser]
) -> Recogniser:
    """Return a recogniser after a course, from its kept weights where they are there."""
    file, recogniser = ground.keep / f"{name}.pt", load_recogniser(REFERENCE / OWN)
    if not file.exists():
        torch.save(teach(REFERENCE / OWN, ground.pairs(), ground.short(course)).network.state_dict(), file)
    recogniser.network.load_state_dict(torch.load(file, weights_only=True))
    return recogniser


def _tell_seen(words: str, recogniser: Recogniser, judged: Judged) -> None:
    known, copies, files = seen_anew(recogniser, judged)
    print(line_of(words, rates_of(known, copies), rates_of(known, files)), flush=True)


def purify(ground: Ground) -> None:
    """Print what the judges see in the copies after a purifier, beside the same crops before it."""
    network, file = Purifier(), ground.keep / "purifier.pt"
    if not file.exists():
        torch.save(purifier(REFERENCE / GUIDE, ground.pairs(), ground.short(TO_PURIFY)).state_dict(), file)
    network.load_state_dict(torch.load(file, weights_only=True))
    print(HEAD, flush=True)
    crops = [
        [aligned(photo, points) for photo, points in zip(photos, ground.judged.points, strict=True)]
        for photos in (ground.judged.copies, ground.judged.published)
    ]
    for words, faces in (("aligned crop", crops), ("purified", [purified(network.eval(), some) for some in crops])):
        names = (words.replace(" ", "-"), f"{words.replace(' ', '-')}-clean")
        seen = [
            kept(ground.seen / f"{name}.npz", ground.judges, [(face, POINTS_144) for face in some])
            for name, some in zip(names, faces, strict=True)
        ]
        print(line_of(words, *(rates_of(ground.known, each) for each in seen)), flush=True)
        fused = (rates_of(*together(ground.known, each)) for each in seen)
        print(line_of(f"{words}, judges together", *fused), flush=True)


def find_cloaks(ground: Ground) -> None:
    """Print how many cloaks a detector finds, and how often it is wrong about people it never saw."""
    network, file = CloakDetector(), ground.keep / "detector.pt"
    if not file.exists():
        torch.save(cloak_detector(ground.pairs(), ground.short(TO_FIND)).state_dict(), file)
    network.load_state_dict(torch.load(file, weights_only=True))
    judged = ground.judged
    strangers = [(decoded(encoded(each.photo)), np.array(each.face.landmarks)) for each in judged.strangers()]
    copies, files = (list(zip(photos, judged.points, strict=True)) for photos in (judged.copies, judged.published))
    people = judged.people[judged.numbers]
    print("| | found | false alarms, strangers | false alarms, the same people |\n|---|---|---|---|", flush=True)
    for what in AFTER:
        told = [_scores(network.eval(), faces, what) for faces in (copies, strangers, files)]
        least = alarm(told[1][::2])  # every other stranger sets it, the rest check it
        rates = [rate((own > least).astype(float), whose) for own, whose in _whose(told, people)]
        print(f"| {what} | {' | '.join(map(str, rates))} |", flush=True)


def _whose(told: Sequence[Floats], people: Sequence[int]) -> list[tuple[Floats, Sequence[int]]]:
    others = told[1][1::2]
    return [(told[0], people), (others, range(len(others))), (told[2], people)]


def _scores(network: nn.Module, faces: Sequence[Looked], what: str) -> Floats:
    return scores(network, [aligned(after(photo, what), points) for photo, points in faces])
