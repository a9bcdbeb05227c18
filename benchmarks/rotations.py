"""Faces at any in-plane angle: what is found without and with `faces.rotated`, and what a cloak of them is worth.

    python benchmarks/rotations.py            the photos of ../shared/data/people, at 13 angles (20 minutes)
    python benchmarks/rotations.py --every 4  each fourth photo
    python benchmarks/rotations.py --own      with the detector that comes with uncnn, not the published one
    python benchmarks/rotations.py --smoke    three photos, two angles, two steps: only shows that it runs

Photos are 512 px at most. A face is *read* where all five landmarks lie where they are in the upright photo, to 0.35 of
the distance between the eyes on average; *misread* where a face is found there with other landmarks: a recogniser that
turns its photos would see another picture than the one that was cloaked. Then the photos are cloaked (`veil` at
`balanced`, the recognisers that come with uncnn) and judged turned back upright, as somebody else may do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import common
import numpy as np
from common import REFERENCE, WEIGHTS, is_missing, set_torch_up
from PIL import Image, ImageOps

from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Budget, Detector, Face, Pixels
from uncnn.plugins.detectors.turned import AROUND, SAME_PLACE, SAME_READING, looking
from uncnn.plugins.engine import host, rendering
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import make_attack, make_budget

LARGEST_PX = 512
CLOAKED_AT = (0, 90, 180)


@dataclass(frozen=True, slots=True)
class Upright:
    """A photo that is upright, and its largest face there."""

    image: Image.Image
    face: Face


def main() -> None:
    """Print one row an angle, what is found where there is no face, and one row an angle for the cloaks."""
    parser = common.options_of(__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--own", action="store_true")
    options = parser.parse_args()
    if is_missing(options.data, REFERENCE):
        return
    set_torch_up()
    detector = common.detector(EMBEDDED / OWN_DETECTOR if options.own else WEIGHTS)
    files = sorted((options.data / "people").rglob("*.jpg"))[:: 16 if options.smoke else options.every]
    photos = [photo for file in files if (photo := _upright(detector, file)) is not None]
    empty = sorted((options.data / "noface").rglob("*.jpg"))[:: 100 if options.smoke else 4 * options.every]
    _print_found(detector, photos, (0, 90) if options.smoke else range(0, 181, 15))
    _print_empty(detector, empty)
    budget = make_budget("balanced", {"steps": 2} if options.smoke else {})
    _print_cloaks(detector, photos[:: len(photos) // 8 or 1], (90,) if options.smoke else CLOAKED_AT, budget)


def _upright(detector: Detector, file: Path) -> Upright | None:
    image = _read(file)
    faces = detector.detect(np.asarray(image))
    return Upright(image, max(faces, key=lambda face: face.size_px)) if faces else None


def _read(file: Path) -> Image.Image:
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    image.thumbnail((LARGEST_PX, LARGEST_PX))
    return image


def _turned(image: Image.Image, angle: int) -> Image.Image:
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=AROUND)


def _points(photo: Upright, angle: int, size: tuple[int, int]) -> Floats:
    """Return where the landmarks of the upright face lie in the photo turned by `angle`, (5, 2)."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    linear = np.array([[cosine, sine], [-sine, cosine]])
    before, after = (np.array(each) / 2 - 0.5 for each in (photo.image.size, size))
    points: Floats = (np.array(photo.face.landmarks) - before) @ linear.T + after
    return points


def _print_found(detector: Detector, photos: Sequence[Upright], angles: Sequence[int]) -> None:
    print(
        f"{len(photos)} faces\n{'angle':>6}  {'upright looks only':>20}  {'rotated':>20}\n{'':6}"
        + "  read    misread" * 2
    )
    for angle in angles:
        row = f"{angle:6}"
        for rotated in (False, True):
            found = [_found(looking(detector, rotated), photo, angle) for photo in photos]
            row += f"  {found.count('read') / len(found):6.0%}  {found.count('misread') / len(found):6.0%}"
        print(row, flush=True)


def _found(detector: Detector, photo: Upright, angle: int) -> str:
    """Return how the face is found in its photo turned by `angle`: read, misread or missed."""
    turned = _turned(photo.image, angle)
    points = _points(photo, angle, turned.size)
    eyes = max(float(np.linalg.norm(points[0] - points[1])), 0.3 * photo.face.size_px)
    faces = [np.array(face.landmarks) for face in detector.detect(np.asarray(turned))]
    if any(np.linalg.norm(face - points, axis=1).mean() < SAME_READING * eyes for face in faces):
        return "read"
    apart = SAME_PLACE * photo.face.size_px
    there = any(np.linalg.norm(face.mean(axis=0) - points.mean(axis=0)) < apart for face in faces)
    return "misread" if there else "missed"


def _print_empty(detector: Detector, files: Sequence[Path]) -> None:
    photos = [np.asarray(_read(file)) for file in files]
    hits = [sum(bool(looking(detector, rotated).detect(photo)) for photo in photos) for rotated in (False, True)]
    print(f"photos without a face in which one is found: {hits[0]} and, rotated, {hits[1]} of {len(photos)}")


def _print_cloaks(detector: Detector, photos: Sequence[Upright], angles: Sequence[int], budget: Budget) -> None:
    surrogates, judges = common.surrogates(), common.judges()
    print(f"{len(photos)} cloaks, without and with `rotated`: linked by a judge when turned back upright; found again")
    for angle in angles:
        outcomes = [
            [_linked(looking(detector, rotated), photo, angle, surrogates, judges, budget) for photo in photos]
            for rotated in (False, True)
        ]
        linked = [sum(link for link, _ in own) / len(own) for own in outcomes]
        again = [sum(found for _, found in own) / len(own) for own in outcomes]
        print(
            f"{angle:6}  linked {linked[0]:4.0%} {linked[1]:4.0%}   found {again[0]:4.0%} {again[1]:4.0%}", flush=True
        )


def _linked(
    detector: Detector,
    photo: Upright,
    angle: int,
    surrogates: Sequence[Recogniser],
    judges: Sequence[OnnxRecogniser],
    budget: Budget,
) -> tuple[bool, bool]:
    """Return whether a judge links the cloak, turned back, to its original, and whether its faces are found again."""
    turned = np.asarray(_turned(photo.image, angle))
    faces = detector.detect(turned)
    patches = host.perturb(turned, faces, make_attack("veil", {}), surrogates, budget, 1) if faces else []
    released, _ = rendering.compose(turned, patches)
    back = _back(released, angle, photo.image.size)
    clean = _back(turned, angle, photo.image.size)
    points = np.array([photo.face.landmarks])
    links = [
        judge.card.matches(float(compare(judge.card, judge.embed(clean, points), judge.embed(back, points))[0]), 1e-3)
        for judge in judges
    ]
    seen = [np.array(face.landmarks) for face in detector.detect(released)]
    found = all(
        any(
            np.linalg.norm(np.array(face.landmarks) - one, axis=1).mean() < SAME_READING * face.size_px / 2
            for one in seen
        )
        for face in faces
    )
    return any(links), found


def _back(photo: Pixels, angle: int, size: tuple[int, int]) -> Pixels:
    """Return a photo that was turned by `angle`, upright again and without what turning put around it."""
    image = Image.fromarray(photo).rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    left, top = (image.width - size[0]) // 2, (image.height - size[1]) // 2
    return np.asarray(image.crop((left, top, left + size[0], top + size[1])))


if __name__ == "__main__":
    main()
