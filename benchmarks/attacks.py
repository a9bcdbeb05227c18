"""What each registered attack comes to on the same photos, with the same budget and number of steps.

    python benchmarks/attacks.py                                 every attack, 12 LFW photos, 20 steps
    python benchmarks/attacks.py pgd "p-fgvm realism=1"          these, with parameters
    python benchmarks/attacks.py --smoke                         one photo, two steps: only shows that it runs

The recognisers that come with uncnn are attacked; dlib-resnet (a distance: more is better) and openvino-0095 (a cosine:
less is better) judge, and are not attacked. SSIMULACRA2 is that of the face's square, 100 where nothing was changed.
Needs the models and photos of ../shared beside the checkout.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from uncnn.daemon.verify.visibility import ssimulacra2
from uncnn.exporters.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Attack, Budget, Face, Pixels
from uncnn.plugins.cards import compare
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.geometry import region_of
from uncnn.plugins.host import compose, perturb
from uncnn.plugins.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import STRENGTHS, attack_names, make_attack

SHARED = Path(__file__).resolve().parents[2] / "shared"
JUDGES = ("dlib-resnet", "openvino-0095")
FAR = 1e-3


def main() -> None:
    """Print a row an attack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", help="names, each with parameters after it; default: all")
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--strength", default="balanced", choices=STRENGTHS)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the surrogates share the cores among them, one a thread
    torch.set_flush_denormal(True)
    surrogates = [load_recogniser(path.parent) for path in sorted(EMBEDDED.glob("*/card.yaml"))]
    judges = [OnnxRecogniser.load(SHARED / "models" / "reference" / name, ["CPUExecutionProvider"]) for name in JUDGES]
    photos = _chosen(1 if options.smoke else options.photos)
    budget = replace(STRENGTHS[options.strength], steps=2 if options.smoke else options.steps)
    print(f"{len(photos)} photos, {options.strength}, {budget.steps} steps, {len(surrogates)} surrogates")
    heads = "  ".join(f"{name:>13} links" for name in JUDGES)
    print(f"{'':34}  SSIMULACRA2  s/face  {heads}")
    for asked in options.attacks or attack_names():
        name, *settings = asked.split()
        attack = make_attack(name, _parameters(settings))
        print(_row(asked, attack, photos, surrogates, judges, budget), flush=True)


def _parameters(settings: Sequence[str]) -> Mapping[str, Any]:
    pairs = (setting.split("=", 1) for setting in settings)
    return {key: yaml.safe_load(value) for key, value in pairs}


def _row(
    title: str,
    attack: Attack,
    photos: Sequence[tuple[Pixels, Face]],
    surrogates: Sequence[Recogniser],
    judges: Sequence[OnnxRecogniser],
    budget: Budget,
) -> str:
    shown, seconds, likeness = [], 0.0, []
    for photo, face in photos:
        started = time.monotonic()
        released, _ = compose(photo, perturb(photo, [face], attack, surrogates, budget, seed=0))
        seconds += time.monotonic() - started
        points = np.array([face.landmarks])
        square = region_of(points[0], 0).clipped(*photo.shape[:2])
        shown.append(ssimulacra2(photo[square], released[square]) or 100.0)
        likeness.append(
            [
                float(compare(judge.card, judge.embed(photo, points), judge.embed(released, points))[0])
                for judge in judges
            ]
        )
    cells = []
    for judge, found in zip(judges, zip(*likeness, strict=True), strict=True):
        linked = np.mean([judge.card.matches(value, FAR) for value in found])
        cells.append(f"{np.mean(found):13.3f} {linked:5.0%}")
    return f"{title:34}  {np.mean(shown):11.1f}  {seconds / len(photos):6.1f}  {'  '.join(cells)}"


def _chosen(number: int) -> list[tuple[Pixels, Face]]:
    """Return photos of LFW, one a person, spread over them, each with its largest face."""
    people = sorted(path for path in (SHARED / "data" / "lfw" / "identities").iterdir() if path.is_dir())
    detector = load_torch(EMBEDDED / OWN_DETECTOR)
    photos = []
    for person in people[:: max(len(people) // number, 1)][:number]:
        photo = np.asarray(Image.open(sorted(person.iterdir())[0]).convert("RGB"))
        photos.append((photo, max(detector.detect(photo), key=lambda face: face.size_px)))
    return photos


if __name__ == "__main__":
    main()
