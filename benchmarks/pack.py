"""What comes with uncnn, beside what it could be: the detector and its teacher, sets of recognisers to attack.

    python benchmarks/pack.py              both (15 minutes on two cores)
    python benchmarks/pack.py --smoke      a few photos of each, two steps: only shows that it runs
    python benchmarks/pack.py --only surrogates --photos 12 --pack DIR     with the recognisers of another folder too

Detector: recall on widerface at as many false photos on noface as the teacher has, on the halves held out of training.
Surrogates: see surrogates.py.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import REFERENCE, SHARED, is_missing
from PIL import Image
from surrogates import print_surrogates

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.exporters.train.scenes import held_out
from uncnn.exporters.train.ship import DETECTOR_FILE
from uncnn.plugins.api import Pixels
from uncnn.plugins.detectors.retinaface import RetinaFace
from uncnn.plugins.detectors.retinaface_boxes import overlap
from uncnn.plugins.detectors.retinaface_network import load_torch

TEACHER = "retinaface-mobilenet0.25.pth"


def main() -> None:
    """Print the tables."""
    options = _options()
    if is_missing(REFERENCE, SHARED / "data", options.pack):
        return
    teacher = load_torch(REFERENCE / TEACHER)
    if options.only in (None, "detector") and (options.pack / DETECTOR_FILE).is_file():
        _detector(load_torch(options.pack / DETECTOR_FILE), teacher, SHARED / "data", 20 if options.smoke else 1)
    if options.only in (None, "surrogates"):
        photos = 2 if options.smoke else options.photos
        print_surrogates(options.pack, teacher, SHARED / "data" / "lfw" / "identities", photos, options.smoke)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pack", type=Path, default=EMBEDDED, help="a folder of models (default: what comes with uncnn)"
    )
    parser.add_argument("--only", choices=["detector", "surrogates"])
    parser.add_argument("--photos", type=int, default=12, help="LFW photos that are cloaked, one a person (default 12)")
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args()


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


def _read(file: Path) -> Pixels:
    return np.asarray(Image.open(file).convert("RGB"))


if __name__ == "__main__":
    main()
