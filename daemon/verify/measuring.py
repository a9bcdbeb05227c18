"""What the verifier tells of a photo besides a verdict: what each judge makes of one face, and how far a copy shows.

For `evaluate`, which plays the adversary: it needs the embeddings themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from uncnn.daemon.compare.showing import show
from uncnn.daemon.photos import decode, reencode
from uncnn.daemon.processes import Message
from uncnn.daemon.verify.displays import on_displays
from uncnn.daemon.verify.jod import JOD
from uncnn.daemon.verify.moved import read_moved
from uncnn.daemon.verify.verdict import FACE
from uncnn.daemon.verify.visibility import VISIBILITY, face_square, visibility
from uncnn.exporters.calibration.patches import main_face
from uncnn.plugins.api import Detector, Face, Pixels, UncnnError
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.onnx_recogniser import OnnxRecogniser

SAME_FACE = 0.35  # landmarks nearer than this share of the distance between the eyes belong to one face

Measure: TypeAlias = Callable[[Detector, Sequence[OnnxRecogniser], Message], Message]


def embed(detector: Detector, recognisers: Sequence[OnnxRecogniser], request: Message) -> Message:
    """Return what each of `judges`, names, makes of one face of the file `source`, found anew, in each of `views`.

    Which face: the one at `near`, or where that is None the one that the photo is of. `found` says whether the detector
    finds it; a face at `near` that it does not is embedded where it was. `rotated`: it may be at any in-plane angle.
    """
    photo = decode(Path(request["source"]).read_bytes(), request["name"]).pixels
    near = None if request["near"] is None else FACE.validate_python(request["near"])
    face, found = _face(looking(detector, request.get("rotated", False)).detect(photo), photo, near)
    if face is None:
        return {"face": None, "found": False, "embeddings": {}}
    landmarks = np.array([face.landmarks], dtype=np.float64)
    seen = {view: reencode(photo, view) for view in request["views"]}
    embeddings = {
        judge.card.name: {view: judge.embed(pixels, landmarks)[0].tolist() for view, pixels in seen.items()}
        for judge in recognisers
        if judge.card.name in request["judges"]
    }
    return {"face": FACE.dump_python(face, mode="json"), "found": found, "embeddings": embeddings}


def compare(_detector: Detector, _recognisers: Sequence[OnnxRecogniser], request: Message) -> Message:
    """Return how far the change of `original` shows in `released`, in JOD, and that of one face by other metrics.

    `visibility` is None where it is too small for these; they compare it with the original as the worker moved it:
    `moved` is the file that it wrote then, or None.
    """
    before, after = (
        decode(Path(request[key]).read_bytes(), request["name"]).pixels for key in ("original", "released")
    )
    face = FACE.validate_python(request["face"])
    jod, _ = on_displays(before, after, [face])
    square = face_square(face, before.shape)
    moved = read_moved(request.get("moved"))
    found = visibility(moved.square(0, before[square]), after[square]) if square else None
    return {
        "jod": JOD.dump_python(jod, mode="json"),
        "visibility": None if found is None else VISIBILITY.dump_python(found, mode="json"),
    }


def crop(_detector: Detector, _recognisers: Sequence[OnnxRecogniser], request: Message) -> Message:
    """Write the square of `face` of each of the `sources`, versions of one photo, to `destination`, for `read_squares`.

    Where the face is too small for a square, the whole photo.
    """
    face = FACE.validate_python(request["face"])
    squares = []
    for source in request["sources"]:
        photo = decode(Path(source).read_bytes(), request["name"]).pixels
        squares.append(photo[face_square(face, photo.shape) or (slice(None), slice(None))].copy())
    with Path(request["destination"]).open("wb") as stream:
        np.savez(stream, *squares)
    return {}


def read_squares(file: Path) -> list[Pixels]:
    """Return the squares, (H, W, 3), that `crop` wrote; nothing is decoded. Raises UncnnError: they are none."""
    with np.load(file, allow_pickle=False) as stored:
        squares = [stored[name] for name in stored.files]
    if any(square.dtype != np.uint8 or square.ndim != 3 or square.shape[2] != 3 for square in squares):
        raise UncnnError(f"{file.name}: these are no pictures: the verifier failed, try again")
    return squares


MEASURES: Final[Mapping[str, Measure]] = {"embed": embed, "compare": compare, "crop": crop, "show": show}
"""By what is asked."""


def _face(seen: Sequence[Face], photo: Pixels, near: Face | None) -> tuple[Face | None, bool]:
    """Return the face that is asked for, and whether it is among those `seen`."""
    if near is None:
        return (main_face(seen, photo.shape), True) if seen else (None, False)
    again = next((face for face in seen if same_face(near, face)), None)
    return again or near, again is not None


def same_face(first: Face, second: Face) -> bool:
    """Return whether two detections are of one face: their landmarks lie close by the size of the face."""
    one, other = np.array(first.landmarks), np.array(second.landmarks)
    eyes = max(float(np.linalg.norm(one[0] - one[1])), 0.3 * first.size_px)
    return bool(np.linalg.norm(one - other, axis=1).mean() < SAME_FACE * eyes)
