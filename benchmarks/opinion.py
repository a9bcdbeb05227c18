"""Make `daemon/verify/human_faces.npz`: where recognisers put people, and where animals.

    python benchmarks/opinion.py OUT.npz      from ../shared/data (10 minutes on one core)
    python benchmarks/opinion.py --smoke      a few faces, written nowhere: only shows that it runs

People are those of `faces-144`, who are in no benchmark, as they are, small, blurred and dark; animals and things are
what the detector takes for a face, however faintly, in that half of `noface` that `looks.py` calls tuned. Both as they
are and mirrored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import common
import numpy as np
from common import WEIGHTS, is_missing
from looks import is_tuned
from PIL import Image, ImageFilter

from uncnn.daemon.verify.opinion import RECOGNISERS, Floats, described
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Pixels
from uncnn.plugins.geometry import ARCFACE_112
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

PEOPLE = 1200
MARGIN_PX = 16
FAINTEST = 0.1
SHRINKAGE = 0.3  # of the covariance toward a sphere
MIRRORED = [1, 0, 2, 4, 3]

Sample = tuple[Pixels, Floats]


def main() -> None:
    """Lay a plane for each recogniser and write them."""
    parser = common.options_of(__doc__)
    parser.add_argument("out", type=Path, nargs="?")
    options = parser.parse_args()
    if is_missing(options.data, WEIGHTS):
        return
    people = list(_people(options.data / "faces-144", 12 if options.smoke else PEOPLE))
    animals = list(_animals(options.data / "noface", 20 if options.smoke else None))
    made = {}
    for name in RECOGNISERS:
        recogniser = OnnxRecogniser.load(EMBEDDED / name, common.CPU)
        own = plane(_described(recogniser, people), _described(recogniser, animals))
        made[recogniser.card.sha256] = own.astype(np.float32)
        print(f"{name}: {len(people)} people, {len(animals)} animals and things", flush=True)
    if options.out is not None:
        np.savez(options.out, **made)


def plane(people: Floats, animals: Floats) -> Floats:
    """Return the weights and the shift, (D + 1,), at which people are at 1 on average, and animals at -1."""
    covariance = (np.cov(people.T) + np.cov(animals.T)) / 2
    covariance += np.eye(len(covariance)) * np.trace(covariance) / len(covariance) * SHRINKAGE
    weights = np.linalg.solve(covariance, people.mean(axis=0) - animals.mean(axis=0))
    high, low = (people @ weights).mean(), (animals @ weights).mean()
    return np.concatenate([2 * weights / (high - low), [-(high + low) / (high - low)]])


def _people(folder: Path, number: int) -> Iterator[Sample]:
    files = sorted(folder.rglob("*.jpg"), key=lambda file: hashlib.sha256(file.name.encode()).hexdigest())[:number]
    random = np.random.default_rng(0)
    for count, file in enumerate(files):
        image = Image.open(file).convert("RGB")
        if count % 4 == 1:
            side = int(random.integers(18, 40))
            image = image.resize((side, side)).resize((144, 144))
        elif count % 4 == 2:
            image = image.filter(ImageFilter.GaussianBlur(random.uniform(1.5, 4)))
        elif count % 4 == 3:
            image = Image.fromarray((np.asarray(image) * random.uniform(0.1, 0.4)).astype(np.uint8))
        yield np.asarray(image), ARCFACE_112 + MARGIN_PX


def _animals(folder: Path, most: int | None) -> Iterator[Sample]:
    detector = replace(common.detector(), threshold=FAINTEST)
    for file in [file for file in sorted(folder.rglob("*.jpg")) if is_tuned(file)][:most]:
        photo = np.asarray(Image.open(file).convert("RGB"))
        for face in detector.detect(photo):
            yield photo, np.array(face.landmarks, np.float64)


def _described(recogniser: OnnxRecogniser, samples: Sequence[Sample]) -> Floats:
    rows = []
    for photo, points in samples:
        mirrored = np.stack([photo.shape[1] - 1 - points[MIRRORED, 0], points[MIRRORED, 1]], axis=1)
        rows.append(recogniser.embed(photo, points[None]))
        rows.append(recogniser.embed(np.ascontiguousarray(photo[:, ::-1]), mirrored[None]))
    return described(np.concatenate(rows))


if __name__ == "__main__":
    main()
