"""How far the cloaked photos that `margin.py` tries its rules on are from a link: measured once, kept beside them.

*Asked* is what a verdict asks, and *not asked* what may become of a photo afterwards; there the face is found anew. All
figures are distances as shares of the distance of the threshold at FAR 1e-3: below 1 is a link.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from common import CPU, REFERENCE
from margin_cloaks import ATTACKED, Source, faces_of
from PIL import Image, ImageEnhance, ImageFilter

from uncnn.daemon.photos import decode, reencode
from uncnn.daemon.protect.measuring import same_face
from uncnn.daemon.verify.places import places
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Detector, Face, Pixels
from uncnn.plugins.recognisers.cards import compare, distance
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

FAR: Final = 1e-3
VIEWS: Final = ("as-is", "jpeg-75", "half-size", "blur-1")
JUDGING: Final = ("dlib-resnet", "openvino-0095")
HELD_OUT: Final = (
    "edgeface-xxs",
    "mobilefacenet-y1",
    "mobilefacenet-sirius",
    "mobilefacenet-casia",
    "mobilefacenet-casia-tf2",
)
AROUND: Final = 2.5  # face sizes on each side of a face that are shown to the detector: a group photo is large

Shares: TypeAlias = dict[str, dict[str, list[float]]]  # by recogniser, by view, in each place


@dataclass(frozen=True, slots=True)
class FaceDistances:
    """The distances of one face at one strength."""

    asked: Shares
    unasked: Shares  # by transform
    before: Shares  # of the unchanged photo
    held_out: Shares  # recognisers that a verdict does not ask
    ssimulacra2: float | None


def _crop(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((round(0.05 * width), round(0.05 * height), round(0.95 * width), round(0.95 * height)))


def _jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer).convert("RGB")


TRANSFORMS: Final[dict[str, Callable[[Image.Image], Image.Image]]] = {
    "crop 5 %": _crop,
    "JPEG 60": _jpeg,
    "resize 0.75": lambda image: image.resize(
        (round(image.width * 0.75), round(image.height * 0.75)), Image.Resampling.LANCZOS
    ),
    "sharpen": lambda image: image.filter(ImageFilter.SHARPEN),
    "median 3": lambda image: image.filter(ImageFilter.MedianFilter(3)),
    "brighter 10 %": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "darker 10 %": lambda image: ImageEnhance.Brightness(image).enhance(0.9),
}
"""What was not asked."""


def load() -> dict[str, OnnxRecogniser]:
    """Return the recognisers that are asked, and those that are held out, by name."""
    own = {name: OnnxRecogniser.load(EMBEDDED / name, CPU) for name in (*JUDGING, *ATTACKED)}
    return own | {name: OnnxRecogniser.load(REFERENCE / name, CPU) for name in HELD_OUT}


def kept(source: Source, strength: str, cache: Path) -> list[FaceDistances] | None:
    """Return the distances of each face of a photo at a strength; None: they were not measured yet."""
    file = source.folder(cache) / f"{strength}.distances.json"
    return [FaceDistances(**each) for each in json.loads(file.read_text())] if file.is_file() else None


def measure(
    source: Source, strength: str, cache: Path, detector: Detector, recognisers: dict[str, OnnxRecogniser]
) -> list[FaceDistances] | None:
    """Measure the distances of each face of a photo at a strength; None: it is not cloaked yet."""
    folder = source.folder(cache)
    file, made = folder / f"{strength}.distances.json", folder / f"{strength}.json"
    if file.is_file():
        return kept(source, strength, cache)
    if not made.is_file():
        return None
    faces, visibilities = faces_of(source, cache, detector), json.loads(made.read_text())
    found = []
    if faces:
        original = decode(source.file.read_bytes(), "photo").pixels
        released = decode((folder / f"{strength}.released").read_bytes(), "photo").pixels
        for face, ssimulacra2 in zip(faces, visibilities, strict=True):
            found.append(_of_face(face, original, released, detector, recognisers, ssimulacra2))
    content = [
        {
            "asked": each.asked,
            "unasked": each.unasked,
            "before": each.before,
            "held_out": each.held_out,
            "ssimulacra2": each.ssimulacra2,
        }
        for each in found
    ]
    file.write_text(json.dumps(content))
    return found


def _of_face(
    face: Face,
    original: Pixels,
    released: Pixels,
    detector: Detector,
    recognisers: dict[str, OnnxRecogniser],
    ssimulacra2: float | None,
) -> FaceDistances:
    window, face = _window(face, original.shape)
    original, released = original[window], released[window]
    there = np.array([face.landmarks])
    again = _found(detector, released, face, there)
    asked_of = [recognisers[name] for name in (*JUDGING, *ATTACKED)]
    clean = {name: recogniser.embed(original, there) for name, recogniser in recognisers.items()}
    where = places(again, there)

    def shares(group: Sequence[OnnxRecogniser], photo: Pixels, at: Sequence[np.ndarray]) -> dict[str, list[float]]:
        return {each.card.name: _shares(each, clean[each.card.name], photo, at) for each in group}

    seen = {view: shares(asked_of, reencode(released, view), where) for view in VIEWS}
    unchanged = {view: shares(asked_of, reencode(original, view), [there]) for view in VIEWS}
    after = {}
    for name, change in TRANSFORMS.items():
        photo = np.asarray(change(Image.fromarray(released)))
        expected = _as_changed(again, released.shape, photo.shape, name)
        moved = Face(face.box, tuple(map(tuple, expected[0].tolist())), face.score)
        after[name] = shares(asked_of, photo, [_found(detector, photo, moved, expected)])
    sealed = [recognisers[name] for name in HELD_OUT]
    kept = {view: shares(sealed, reencode(released, view), [again]) for view in ("as-is", "jpeg-75")}
    return FaceDistances(_turned(seen), _turned(after), _turned(unchanged), _turned(kept), ssimulacra2)


def _turned(by_view: dict[str, dict[str, list[float]]]) -> Shares:
    """Return by recogniser and view what is by view and recogniser."""
    names = next(iter(by_view.values()))
    return {name: {view: values[name] for view, values in by_view.items()} for name in names}


def _shares(recogniser: OnnxRecogniser, own: np.ndarray, photo: Pixels, at: Sequence[np.ndarray]) -> list[float]:
    card = recogniser.card
    values = compare(card, np.tile(own, (len(at), 1)), recogniser.embed(photo, np.concatenate(at)))
    return [distance(card.metric, float(value)) / distance(card.metric, card.threshold(FAR)) for value in values]


def _window(face: Face, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], Face]:
    """Return the rows and columns around a face, and the face in them."""
    middle, reach = np.array(face.landmarks).mean(axis=0), (0.5 + AROUND) * face.size_px
    left, top = (max(int(value - reach), 0) for value in middle)
    right, bottom = (min(int(value + reach), most) for value, most in zip(middle, (shape[1], shape[0]), strict=True))
    points = tuple((x - left, y - top) for x, y in face.landmarks)
    box = (face.box[0] - left, face.box[1] - top, face.box[2] - left, face.box[3] - top)
    return (slice(top, bottom), slice(left, right)), Face(box, points, face.score)  # type: ignore[arg-type]


def _found(detector: Detector, photo: Pixels, face: Face, instead: np.ndarray) -> np.ndarray:
    """Return the landmarks, (1, 5, 2), of a face where the detector finds it; where it does not, `instead`."""
    match = next((other for other in detector.detect(photo) if same_face(face, other)), None)
    return instead if match is None else np.array([match.landmarks])


def _as_changed(points: np.ndarray, before: tuple[int, ...], after: tuple[int, ...], name: str) -> np.ndarray:
    """Return where landmarks lie once the photo was cropped or resized."""
    if name == "crop 5 %":
        return points - np.array([round(0.05 * before[1]), round(0.05 * before[0])])
    return points * np.array([after[1] / before[1], after[0] / before[0]])
