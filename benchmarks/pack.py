"""What networks of our own (exporters/train) are worth, beside the published ones that stand next to the checkout.

    python benchmarks/pack.py              students, detector, cloaks (15 minutes on two cores)
    python benchmarks/pack.py --smoke      a few photos of each: only shows that it runs
    python benchmarks/pack.py --pack pack --only cloaks --photos 12

Students: verification accuracy on pairs formed from lfw/identities, which no training saw, by LFW's protocol.
Detector: recall on widerface at as many false photos on noface as the teacher has, on the halves held out of training.
Cloaks: PGD against the students alone and against one published recogniser alone, at several budgets; how far the two
judges, which taught nothing and are not attacked, still see the person, at equal SSIMULACRA2.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import common
import numpy as np
from common import CPU, JUDGES, REFERENCE, SHARED, is_missing
from PIL import Image
from surrogates import print_surrogates

from uncnn.daemon.verify.visibility import ssimulacra2
from uncnn.exporters.calibration.calibrate import embed_faces
from uncnn.exporters.calibration.faces import read_faces
from uncnn.exporters.calibration.verification import accuracy, draw_pairs
from uncnn.exporters.store import EMBEDDED, OWN_DETECTOR
from uncnn.exporters.train.scenes import held_out
from uncnn.plugins.api import Budget, Face, Pixels
from uncnn.plugins.cards import compare
from uncnn.plugins.detectors.retinaface import RetinaFace
from uncnn.plugins.detectors.retinaface_boxes import overlap
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.geometry import region_of
from uncnn.plugins.host import compose, perturb
from uncnn.plugins.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import make_attack

TEACHER = "retinaface-mobilenet0.25.pth"
PUBLISHED = ("mobilefacenet-foamliu", "mobilefacenet-y1")
SCALES = (0.8, 0.9, 1.0, 1.1)  # of bounds of 3.2 + 0.55 of the local standard deviation, 18 at most
FAR = 1e-3
Reached: TypeAlias = tuple[float, dict[str, float]]  # SSIMULACRA2, and the mean likeness by judge


@dataclass(frozen=True, slots=True)
class Cloak:
    """What a cloak of one face came to."""

    shown: float  # SSIMULACRA2 of the face's square
    likeness: dict[str, float]  # by judge: cosine or distance, of the worse of two views
    linked: dict[str, bool]


def main() -> None:
    """Print the tables."""
    options = _options()
    if is_missing(REFERENCE, SHARED / "data", options.pack):
        return
    teacher = load_torch(REFERENCE / TEACHER)
    if options.only in (None, "students"):
        with tempfile.TemporaryDirectory() as scratch:
            identities = SHARED / "data" / "lfw" / "identities"
            _students(options.pack, teacher, common.few(identities, Path(scratch)) if options.smoke else identities)
    if options.only in (None, "detector") and (options.pack / OWN_DETECTOR).is_file():
        _detector(load_torch(options.pack / OWN_DETECTOR), teacher, SHARED / "data", 20 if options.smoke else 1)
    if options.only in (None, "cloaks"):
        photos = 1 if options.smoke else options.photos
        _cloaks(options.pack, teacher, SHARED / "data" / "lfw" / "identities", photos)
    if options.only in (None, "surrogates"):
        photos = 2 if options.smoke else options.photos
        print_surrogates(options.pack, teacher, SHARED / "data" / "lfw" / "identities", photos, options.smoke)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pack", type=Path, default=EMBEDDED, help="the folder of a recipe (default: what comes with uncnn)"
    )
    parser.add_argument("--only", choices=["students", "detector", "cloaks", "surrogates"])
    parser.add_argument("--photos", type=int, default=24, help="LFW photos that are cloaked, one a person (default 24)")
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args()


def _students(pack: Path, detector: RetinaFace, identities: Path) -> None:
    print(f"{'student':20}  {'MB':>5}  {'accuracy':>8}  (bar 0.95)")
    faces = read_faces([identities], detector, None)
    folds = draw_pairs([face.person for face in faces.faces])
    for folder in sorted(path.parent for path in pack.glob("*/card.yaml")):
        student = OnnxRecogniser.load(folder, CPU)
        reached = accuracy(student.card, embed_faces(faces, student), folds)
        size = (folder / "model.onnx").stat().st_size / 1e6
        print(f"{student.card.name:20}  {size:5.2f}  {reached.value:8.4f}", flush=True)


def _detector(ours: RetinaFace, teacher: RetinaFace, data: Path, step: int) -> None:
    """Print recall of both at the teacher's number of false photos: our threshold is moved until it is reached."""
    empty = [file for file in sorted((data / "noface").rglob("*.jpg")) if held_out(file)][::step]
    false = sum(bool(teacher.detect(_read(file))) for file in empty)
    best = [
        max((face.score for face in replace(ours, threshold=0.05).detect(_read(file))), default=0.0) for file in empty
    ]
    ranked = sorted(best, reverse=True)
    threshold = (ranked[false] + 1e-6) if false < len(ranked) else 0.05
    print(f"{'detector':10}  {'threshold':>9}  {'false photos':>12}  {'recall 40 px':>12}  {'recall 20 px':>12}")
    for name, detector in (("teacher", teacher), ("ours", ours), ("ours", replace(ours, threshold=threshold))):
        wrong = sum(bool(detector.detect(_read(file))) for file in empty)
        recalls = _recalls(detector, data / "widerface", step)
        figures = "  ".join(f"{share:12.3f}" for share in recalls)
        print(f"{name:10}  {detector.threshold:9.3f}  {wrong:5d} of {len(empty):3d}  {figures}", flush=True)


def _recalls(detector: RetinaFace, folder: Path, step: int) -> tuple[float, float]:
    found, sizes = [], []
    entries = json.loads((folder / "boxes.json").read_text()).items()
    for name, entry in [pair for pair in entries if held_out(Path(pair[0]))][::step]:
        boxes = np.array(entry["boxes"], np.float32).reshape(-1, 4)
        faces = detector.detect(_read(next(folder.rglob(Path(name).name))))
        seen = np.array([face.box for face in faces], np.float32).reshape(-1, 4) + 0.5  # continuous coordinates
        found.append(np.array([bool((overlap(box, seen) >= 0.5).any()) for box in boxes], bool))
        sizes.append(np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]))
    hit, size = np.concatenate(found), np.concatenate(sizes)
    return float(hit[size >= 40].mean()), float(hit[size >= 20].mean())


def _cloaks(pack: Path, detector: RetinaFace, identities: Path, number: int) -> None:
    sets = {"students": [load_recogniser(path.parent) for path in sorted(pack.glob("*/card.yaml"))]}
    sets |= {name: [load_recogniser(REFERENCE / name)] for name in PUBLISHED}
    judges = common.judges()
    photos = list(_chosen(detector, identities, number))
    print(f"\n{number} photos, PGD, bounds x {', '.join(map(str, SCALES))}, worse of as-is and JPEG 75, FAR {FAR:g}")
    print(
        f"{'surrogates':22}  {'budget':>6}  {'SSIMULACRA2':>11}  "
        + "  ".join(f"{name + ' linked':>22}" for name in JUDGES)
    )
    reached: dict[str, list[Reached]] = {}
    for name, surrogates in sets.items():
        for scale in SCALES:
            done = [_cloak(photo, face, surrogates, judges, scale) for photo, face in photos]
            mean = {judge: float(np.mean([cloak.likeness[judge] for cloak in done])) for judge in JUDGES}
            reached.setdefault(name, []).append((float(np.mean([cloak.shown for cloak in done])), mean))
            shares = (f"{np.mean([cloak.linked[judge] for cloak in done]):6.0%}" for judge in JUDGES)
            means = (f"mean {mean[judge]:6.3f}" for judge in JUDGES)
            cells = "  ".join(f"{share} {mean:>15}" for share, mean in zip(shares, means, strict=True))
            print(f"{name:22}  {scale:6.1f}  {reached[name][-1][0]:11.1f}  {cells}", flush=True)
    shown = reached[PUBLISHED[0]][SCALES.index(1.0)][0]
    print(f"at an SSIMULACRA2 of {shown:.1f}, between these budgets: dlib-resnet more is better, openvino-0095 less")
    for name, curve in reached.items():
        print(f"{name:22}  " + "  ".join(f"{judge} {_at(shown, curve, judge):.3f}" for judge in JUDGES))


def _at(shown: float, curve: Sequence[Reached], judge: str) -> float:
    """Return the mean likeness at a visibility, on the straight line between the budgets that were measured."""
    points = sorted((each, likeness[judge]) for each, likeness in curve)
    return float(np.interp(shown, [each for each, _ in points], [value for _, value in points]))


def _chosen(detector: RetinaFace, identities: Path, number: int) -> Iterator[tuple[Pixels, Face]]:
    people = sorted(path for path in identities.iterdir() if path.is_dir())
    for person in people[:: max(len(people) // number, 1)][:number]:
        photo = _read(sorted(person.iterdir())[0])
        yield photo, max(detector.detect(photo), key=lambda face: face.size_px)


def _cloak(
    photo: Pixels, face: Face, surrogates: Sequence[Recogniser], judges: Sequence[OnnxRecogniser], scale: float
) -> Cloak:
    budget = Budget(steps=40, epsilon_255=3.2 * scale, texture=0.55 * scale, cap_255=18.0 * scale)
    released, _ = compose(photo, perturb(photo, [face], make_attack("pgd", {}), surrogates, budget, seed=0))
    points = np.array([face.landmarks])
    square = region_of(points[0], 0).clipped(*photo.shape[:2])
    likeness, linked = {}, {}
    for judge in judges:
        own = judge.embed(photo, points)
        views = [float(compare(judge.card, own, judge.embed(view, points))[0]) for view in (released, _jpeg(released))]
        worse = float(judge.most_alike(np.array(views)[:, None])[0])
        likeness[judge.card.name], linked[judge.card.name] = worse, judge.card.matches(worse, FAR)
    return Cloak(ssimulacra2(photo[square], released[square]) or 100.0, likeness, linked)


def _jpeg(photo: Pixels) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer))


def _read(file: Path) -> Pixels:
    return np.asarray(Image.open(file).convert("RGB"))


if __name__ == "__main__":
    main()
