"""Faces that are hard in other ways than by their size: in black and white, covered, on a poster, turned to the side.

    python benchmarks/kinds.py             the photos of ../shared/data/people, and LFW's heads that are turned most
    python benchmarks/kinds.py --smoke     a few photos of each kind, two steps: only shows that it runs

Glasses and masks are drawn over the landmarks; the poster hangs askew on a photo without a face, seen from the side.
Photos are 512 px at most. *Found* is at 0.35 of the distance between the eyes, by the published RetinaFace. Cloaks are
`veil` at `balanced`, the recognisers that come with uncnn attacked; links are those of either judge to the face's own
original at FAR 1e-3, as is. *Colour* is the largest difference between the channels of what was changed, grey levels.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import common
import numpy as np
from common import REFERENCE, is_missing, set_torch_up
from PIL import Image, ImageDraw, ImageOps

from uncnn.daemon.verify.visibility import face_square, ssimulacra2
from uncnn.plugins.api import Budget, Detector, Face, Pixels
from uncnn.plugins.engine import host, rendering
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import make_attack, make_budget

NEAR = 0.35  # of the distance between the eyes

Seen = tuple[Image.Image, Floats]
"""A photo, and the five landmarks of its face, (5, 2)."""


def main() -> None:
    """Print a row a kind."""
    options = common.options_of(__doc__).parse_args()
    if is_missing(options.data, REFERENCE):
        return
    set_torch_up()
    detector, surrogates, judges = common.detector(), common.surrogates(), common.judges()
    budget = make_budget("balanced", {"steps": 2} if options.smoke else {})
    files = sorted((options.data / "people").rglob("*.jpg"))[:: 16 if options.smoke else 1]
    photos = [seen for file in files if (seen := _seen(detector, file)) is not None]
    wall = Image.open(sorted((options.data / "noface").rglob("*.jpg"))[0]).convert("RGB")
    kinds: dict[str, Callable[[Seen], Seen]] = {
        "as they are": lambda seen: seen,
        "black and white": lambda seen: (seen[0].convert("L").convert("RGB"), seen[1]),
        "sunglasses": sunglasses,
        "mask": mask,
        "poster": lambda seen: poster(seen, wall),
    }
    print(f"{'':16}  faces  found  cloaked  links  SSIMULACRA2  colour")
    for name, make in kinds.items():
        _print(name, detector, [make(seen) for seen in photos], surrogates, judges, budget)
    heads = sorted((options.data / "lfw" / "identities").rglob("*.jpg"))[:: 400 if options.smoke else 4]
    turned = sorted(
        (seen for file in heads if (seen := _seen(detector, file)) is not None), key=lambda seen: -_side(seen[1])
    )
    _print("turned aside", detector, turned[: 2 if options.smoke else 20], surrogates, judges, budget)


def sunglasses(seen: Seen) -> Seen:
    """Return the photo with dark glasses over the eyes."""
    worn, points = seen[0].copy(), seen[1]
    draw, reach = ImageDraw.Draw(worn), float(np.linalg.norm(points[0] - points[1]))
    draw.line([tuple(points[0]), tuple(points[1])], fill=(20, 20, 22), width=max(round(0.1 * reach), 1))
    for x, y in points[:2]:
        draw.ellipse((x - 0.42 * reach, y - 0.29 * reach, x + 0.42 * reach, y + 0.36 * reach), fill=(20, 20, 22))
    return worn, points


def mask(seen: Seen) -> Seen:
    """Return the photo with a surgical mask from the nose down."""
    worn, points = seen[0].copy(), seen[1]
    across = points[1] - points[0]
    down = (points[3:].mean(axis=0) - points[:2].mean(axis=0)) * 0.9
    nose = points[2]
    corners = [
        nose - across,
        nose + across,
        nose + 0.8 * across + 1.3 * down,
        nose + 1.7 * down,
        nose - 0.8 * across + 1.3 * down,
    ]
    ImageDraw.Draw(worn).polygon([tuple(corner) for corner in corners], fill=(150, 185, 205))
    return worn, points


def poster(seen: Seen, wall: Image.Image) -> Seen:
    """Return the photo as a poster on the wall, seen from the side: its right edge is two thirds of its left."""
    photo, points = seen
    width, height = photo.size
    room = wall.resize((width + 200, height + 100), Image.Resampling.BICUBIC)
    corners = np.array(
        [[100, 50], [100 + 0.8 * width, 50 + height / 6], [100 + 0.8 * width, 50 + height * 5 / 6], [100, 50 + height]]
    )
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    there, back = _homography(source, corners), _homography(corners, source)
    hung = photo.transform(room.size, Image.Transform.PERSPECTIVE, tuple(back.ravel()[:8]), Image.Resampling.BICUBIC)
    shape = Image.new("L", room.size)
    ImageDraw.Draw(shape).polygon([tuple(corner) for corner in corners], fill=255)
    room.paste(hung, mask=shape)
    moved = np.concatenate([points, np.ones((5, 1))], axis=1) @ there.T
    return room, moved[:, :2] / moved[:, 2:]


def _homography(source: Floats, target: Floats) -> Floats:
    """Return the map, (3, 3), that takes the four corners of `source` to those of `target`."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solved = np.linalg.solve(np.array(rows), target.ravel())
    return np.append(solved, 1.0).reshape(3, 3)


def _seen(detector: Detector, file: Path) -> Seen | None:
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    image.thumbnail((512, 512))
    faces = detector.detect(np.asarray(image))
    return (image, np.array(max(faces, key=lambda face: face.size_px).landmarks)) if faces else None


def _side(points: Floats) -> float:
    """Return how far the nose lies from the middle between the eyes, in distances between them: a head turned aside."""
    across = points[1] - points[0]
    return float(abs((points[2] - points[:2].mean(axis=0)) @ across) / (across @ across))


def _print(
    name: str,
    detector: Detector,
    photos: Sequence[Seen],
    surrogates: Sequence[Recogniser],
    judges: Sequence[OnnxRecogniser],
    budget: Budget,
) -> None:
    found = [
        (np.asarray(image), face) for image, points in photos if (face := _found(detector, image, points)) is not None
    ]
    rows = [_cloaked(photo, face, surrogates, judges, budget) for photo, face in found[:: max(len(found) // 12, 1)]]
    links, looks, colour = zip(*rows, strict=True)
    print(
        f"{name:16}  {len(photos):5}  {len(found) / len(photos):5.0%}  {len(rows):7}  {statistics.mean(links):5.0%}"
        f"  {statistics.mean(looks):11.1f}  {max(colour):6}",
        flush=True,
    )


def _found(detector: Detector, image: Image.Image, points: Floats) -> Face | None:
    """Return the face that the detector reads where it is."""
    most = NEAR * float(np.linalg.norm(points[0] - points[1]))
    for face in detector.detect(np.asarray(image)):
        if np.linalg.norm(np.array(face.landmarks) - points, axis=1).mean() < most:
            return face
    return None


def _cloaked(
    photo: Pixels,
    face: Face,
    surrogates: Sequence[Recogniser],
    judges: Sequence[OnnxRecogniser],
    budget: Budget,
) -> tuple[bool, float, int]:
    """Return whether a judge links the cloak, how it shows, and how much colour was added."""
    patches = host.perturb(photo, [face], make_attack("veil", {}), surrogates, budget, 1)
    base = rendering.moved(photo, patches)
    released, _ = rendering.add(base, patches)
    points = np.array([face.landmarks])
    linked_by = [
        (judge, compare(judge.card, judge.embed(photo, points), judge.embed(released, points))) for judge in judges
    ]
    square = face_square(face, photo.shape)
    assert square is not None, "the face is large enough for the metric"
    colour = np.ptp(released.astype(int) - base, axis=2).max()
    linked = any(judge.card.matches(float(values[0]), 1e-3) for judge, values in linked_by)
    return linked, ssimulacra2(base[square], released[square]), int(colour)


if __name__ == "__main__":
    main()
