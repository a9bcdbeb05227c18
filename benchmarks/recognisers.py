"""How often each recogniser is right about two faces, and where its thresholds lie, beside what its card says.

    python benchmarks/recognisers.py                 every recogniser of a folder (about ten minutes on two cores)
    python benchmarks/recognisers.py --smoke         a few people: only shows that it runs
    python benchmarks/recognisers.py --json          the same as JSON
    python benchmarks/recognisers.py --models DIR    a folder of recognisers and RetinaFace's weights

Needs recognisers (--models, else $UNCNN_MODELS, else ../shared/models/reference beside the checkout, else the user's
data directory) and LFW (--data, else ../shared/data/lfw). Says so and ends with 0 where there are none.

`LFW` is the mean of ten draws of 6,000 pairs by LFW's protocol (exporters/calibration/verification.py) among
`identities` and `distractors`, ± how far one draw lies from another: the official pairs are of people who are mostly
not there. The bar is 0.3 points from the card's figure, which was measured on the official pairs. `all` takes every
pair of one person within `identities` instead and as many of two people: harder, since most of them show people with
twelve photos. Thresholds come from every pair of different people, with their 95 % confidence intervals. `ms` is one
face on the CPU, aligned and embedded.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import common
import numpy as np
from common import CPU, REFERENCE, SHARED

from uncnn.daemon.files.folders import data_dir
from uncnn.exporters.calibration.calibrate import FARS, Calibration, calibrate_embeddings, embed_faces
from uncnn.exporters.calibration.faces import FaceFolder, look_with, read_faces
from uncnn.exporters.calibration.verification import accuracy, draw_pairs
from uncnn.exporters.registry.store import ModelsError, detector_onnx, detector_weights
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.recognisers.cards import Card, read_card
from uncnn.plugins.recognisers.model_files import read_model
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.sessions import make_session

DRAWS = 10
BAR_POINTS = 0.3
PUBLISHED = "lfw_6000_pairs"
EVERY = 10**9  # pairs a fold: all that there are


@dataclass(frozen=True, slots=True)
class Row:
    """What one recogniser measured, beside its card; shares in percent."""

    name: str
    lfw: float | None
    lfw_spread: float | None
    card_lfw: float | None
    every_pair: float | None
    thresholds: dict[float, float]
    intervals: dict[float, tuple[float, float]]
    card_thresholds: dict[float, float]
    milliseconds: float


def main() -> None:
    """Print a row a recogniser, then its thresholds."""
    options = _options()
    os.environ["UNCNN_MODELS"] = str(options.models)
    folders = sorted(path.parent for path in options.models.glob("[!.]*/card.yaml"))
    photos = [options.data / "identities", options.data / "distractors"]
    for needed, there in [(options.models / "*/card.yaml", folders), *((path, path.is_dir()) for path in photos)]:
        if not there:
            print(f"nothing measured: {needed} is missing")
            return
    try:
        weights = detector_weights(data_dir())
    except ModelsError as error:
        print(f"nothing measured: {error}")
        return
    with tempfile.TemporaryDirectory() as scratch:
        faces = _faces(photos, weights, Path(scratch), options)
    rows = _rows(folders, faces, options.threads)
    if options.json:
        found = {"schema_version": 1, "detector": weights.name, "faces": len(faces.faces)}
        print(json.dumps({**found, "recognisers": [*map(asdict, rows)]}, indent=2))
        return
    print(f"{len(faces.faces)} faces of {len(faces.people)} people, found by {weights.name}", *faces.losses(), sep="; ")
    _print(list(rows), judged=not options.smoke)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=_models(), help="default: %(default)s")
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "lfw")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _models() -> Path:
    named = os.environ.get("UNCNN_MODELS", "").split(os.pathsep)[0]
    return Path(named) if named else REFERENCE if REFERENCE.is_dir() else data_dir() / "models"


def _faces(photos: Sequence[Path], weights: Path, scratch: Path, options: argparse.Namespace) -> FaceFolder:
    """Return the faces of LFW, found and aligned by RetinaFace; a few of them for the smoke test."""
    detector = load_onnx(detector_onnx(weights, data_dir()), CPU, options.threads)
    folders = [common.few(photos[0], scratch / "few")] if options.smoke else photos
    return read_faces(folders, look_with(detector), _progress, name="LFW")


def _rows(folders: Sequence[Path], faces: FaceFolder, threads: int) -> Iterator[Row]:
    people = [face.person for face in faces.faces]
    photos = Counter(people)
    inside = np.flatnonzero([photos[person] > 1 for person in people])
    draws = [draw_pairs(people, seed) for seed in range(DRAWS)]
    every = draw_pairs([people[number] for number in inside], each=EVERY)
    for folder in folders:
        card = read_card(folder)
        recogniser = OnnxRecogniser(card, make_session(read_model(folder, card), CPU, threads))
        start = time.perf_counter()
        embeddings = embed_faces(faces, recogniser, _progress)
        elapsed = time.perf_counter() - start
        calibration = calibrate_embeddings(faces, card, embeddings)
        lfw = [100 * accuracy(card, embeddings, folds).value for folds in draws if folds]
        alone = 100 * accuracy(card, embeddings[inside], every).value if every else None
        yield _row(card, calibration, lfw, alone, 1000 * elapsed / len(people))


def _row(card: Card, calibration: Calibration, lfw: Sequence[float], alone: float | None, milliseconds: float) -> Row:
    published = card.accuracy.get(PUBLISHED)
    return Row(
        name=card.name,
        lfw=float(np.mean(lfw)) if lfw else None,
        lfw_spread=float(np.std(lfw)) if lfw else None,
        card_lfw=None if published is None else 100 * published,
        every_pair=alone,
        thresholds=dict(calibration.thresholds),
        intervals=dict(calibration.intervals),
        card_thresholds=card.thresholds,
        milliseconds=milliseconds,
    )


def _print(rows: Sequence[Row], *, judged: bool) -> None:
    print(f"\n{'':26}{'LFW %':>14}{'card':>8}{'points':>8}  {'bar':10}{'all %':>7}{'ms':>7}")
    for row in rows:
        spread = f"{row.lfw:.2f} ± {row.lfw_spread:.2f}" if row.lfw is not None else "-"
        apart = row.lfw - row.card_lfw if row.lfw is not None and row.card_lfw is not None else None
        verdict = (
            "" if apart is None or not judged else f"within {BAR_POINTS}" if abs(apart) <= BAR_POINTS else "MISSED"
        )
        print(
            f"{row.name:26}{spread:>14}{_number(row.card_lfw):>8}{_number(apart, '+.2f'):>8}  {verdict:10}"
            f"{_number(row.every_pair):>7}{row.milliseconds:7.1f}"
        )
    print(f"\n{'threshold at FAR':26}" + "".join(f"{far:<36g}" for far in FARS))
    for row in rows:
        print(f"{row.name:26}" + "".join(f"{_threshold(row, far):36}" for far in FARS))


def _threshold(row: Row, far: float) -> str:
    """Return a threshold with its interval and the card's own, or a dash where there were too few pairs."""
    if far not in row.thresholds:
        return "-"
    low, high = row.intervals.get(far, (float("nan"), float("nan")))
    return f"{row.thresholds[far]:.3f} [{low:.3f}, {high:.3f}] card {_number(row.card_thresholds.get(far), '.3f')}"


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{total} ", end="\n" if done == total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
