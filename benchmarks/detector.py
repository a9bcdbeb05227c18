"""What RetinaFace finds, what it takes for a face, and what a photo costs.

    python benchmarks/detector.py                  every photo, in ONNX Runtime on the CPU (a few minutes)
    python benchmarks/detector.py --smoke          a few photos of each kind: only shows that it runs
    python benchmarks/detector.py --runtime torch  the same in torch

Needs photos (--data, else ../shared/data beside the checkout) and RetinaFace's weights (UNCNN_MODELS, else
../shared/models/reference). Says so and ends with 0 where there are none.

Recall is the share of annotated faces with a detection at IoU 0.5 or more; a face's size is its shorter side. The large
photos are mosaics of widerface, not enlarged; there recall is counted for faces of 24 px and more in the finest view.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from common import SHARED, WEIGHTS, is_missing
from PIL import Image

from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors.retinaface import DEFAULT_THRESHOLD, RetinaFace
from uncnn.plugins.detectors.retinaface_boxes import overlap
from uncnn.plugins.detectors.retinaface_network import load_torch

BARS = {"recall 40 px": 0.95, "recall 20 px": 0.87, "noface": 12, "lfw": 1.0, "12 Mpx": 1.5}


def main() -> None:
    """Print one row for each measure."""
    options = _options()
    if is_missing(options.data, WEIGHTS):
        return
    detector = replace(_load(options.runtime), threshold=options.threshold)
    step = 40 if options.smoke else 1
    print(f"{options.runtime}, {common.THREADS} threads, threshold {options.threshold}")
    print(f"{'measure':34}{'value':>12}  bar")
    _widerface(detector, options.data / "widerface", step)
    _noface(detector, options.data / "noface", step)
    _lfw(detector, options.data / "lfw", step)
    for megapixels in (12,) if options.smoke else (12, 100):
        _large(detector, options.data / "widerface", megapixels)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--runtime", choices=["onnx", "torch"], default="onnx")
    parser.add_argument("--threshold", type=float, default=DEFAULT_THRESHOLD)
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args()


def _load(runtime: str) -> RetinaFace:
    torch.set_num_threads(common.THREADS)
    return load_torch(WEIGHTS) if runtime == "torch" else common.detector()


def _widerface(detector: RetinaFace, folder: Path, step: int) -> None:
    found, sizes, seconds = [], [], []
    for photo, boxes in list(_annotated(folder))[::step]:
        faces, elapsed = _timed(detector, photo)
        found.append(_matched(boxes, faces))
        sizes.append(_shorter(boxes))
        seconds.append(elapsed)
    matched, shorter = np.concatenate(found), np.concatenate(sizes)
    for size in (40, 20):
        here = matched[shorter >= size]
        share = here.mean() if len(here) else 0.0
        _row(f"widerface recall, {size} px and more", f"{share:.3f}", f">= {BARS[f'recall {size} px']} of {len(here)}")
    _row("widerface, seconds a photo", f"{np.mean(seconds):.3f}")


def _noface(detector: RetinaFace, folder: Path, step: int) -> None:
    files = sorted(folder.rglob("*.jpg"))[::step]
    hits = sum(bool(detector.detect(_read(file))) for file in files)
    _row("noface photos with a face", f"{hits}", f"<= {BARS['noface']} of {len(files)}")


def _lfw(detector: RetinaFace, folder: Path, step: int) -> None:
    """Count a photo as found when a face lies over its centre, where LFW has the named person."""
    files = sorted(folder.rglob("*.jpg"))[:: 3 * step if step > 1 else 1]
    found, seconds = 0, []
    for file in files:
        photo = _read(file)
        faces, elapsed = _timed(detector, photo)
        y, x = photo.shape[0] / 2, photo.shape[1] / 2
        found += any(face.box[0] < x < face.box[2] and face.box[1] < y < face.box[3] for face in faces)
        seconds.append(elapsed)
    _row("lfw found", f"{found / len(files):.4f}", f">= {BARS['lfw']} of {len(files)}")
    _row("lfw, seconds a photo", f"{np.mean(seconds):.3f}")


def _large(detector: RetinaFace, folder: Path, megapixels: int) -> None:
    photo, boxes = _mosaic(folder, megapixels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    faces, elapsed = _timed(detector, photo)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    smallest = round(24 * max((photo.shape[0] * photo.shape[1] / detector.view_pixels) ** 0.5, 1))
    matched = _matched(boxes, faces)[_shorter(boxes) >= smallest]
    _row(f"{megapixels} Mpx, seconds", f"{elapsed:.2f}", f"<= {BARS['12 Mpx']}" if megapixels == 12 else "")
    _row(f"{megapixels} Mpx, peak memory above, MB", f"{grown:.0f}")
    _row(f"{megapixels} Mpx recall, {smallest} px and more", f"{matched.mean():.3f}", f"of {len(matched)}")


def _mosaic(folder: Path, megapixels: int) -> tuple[Pixels, Any]:
    """Return a 4:3 photo of as many pixels with widerface photos side by side, and their boxes where they lie."""
    width = int((megapixels * 1e6 * 4 / 3) ** 0.5)
    canvas = np.full((width * 3 // 4, width, 3), 128, np.uint8)
    placed, x, y, row = [], 0, 0, 0
    annotated = list(_annotated(folder))
    for number in range(100 * megapixels):
        photo, boxes = annotated[number % len(annotated)]
        height, breadth = photo.shape[:2]
        if x + breadth > width:
            x, y, row = 0, y + row, 0
        if y + height > len(canvas):
            break
        canvas[y : y + height, x : x + breadth] = photo
        placed.append(boxes + np.array([x, y, x, y]))
        x, row = x + breadth, max(row, height)
    return canvas, np.concatenate(placed)


def _annotated(folder: Path) -> Iterator[tuple[Pixels, Any]]:
    """Give each widerface photo with its boxes, (N, 4), in continuous pixels."""
    files = {file.name: file for file in folder.rglob("*.jpg")}
    for name, entry in json.loads((folder / "boxes.json").read_text()).items():
        yield _read(files[name]), np.array(entry["boxes"], np.float32).reshape(-1, 4)


def _read(file: Path) -> Pixels:
    return np.asarray(Image.open(file).convert("RGB"))


def _timed(detector: RetinaFace, photo: Pixels) -> tuple[list[Face], float]:
    start = time.perf_counter()
    faces = detector.detect(photo)
    return faces, time.perf_counter() - start


def _shorter(boxes: Any) -> Any:
    return (boxes[:, 2:] - boxes[:, :2]).min(axis=1)


def _matched(boxes: Any, faces: list[Face]) -> Any:
    """Return which of `boxes` a face covers; half a pixel lies between their coordinates and a face's."""
    found = np.array([face.box for face in faces], np.float32).reshape(-1, 4) + 0.5
    return np.array([bool((overlap(box, found) >= 0.5).any()) for box in boxes], bool)


def _row(measure: str, value: str, bar: str = "") -> None:
    print(f"{measure:34}{value:>12}  {bar}", flush=True)


if __name__ == "__main__":
    main()
