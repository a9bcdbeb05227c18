"""What the verifier measures besides a verdict: each judge's embeddings of one face, and how visible a change is.

For `evaluate`, which plays the adversary: it needs the embeddings themselves.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from uncnn.daemon.photos import decode, reencode
from uncnn.daemon.pictures.blinded import cut
from uncnn.daemon.pictures.comparison import compare
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import (
    PICTURE,
    SQUARES,
    Compare,
    Compared,
    Crop,
    CutFaces,
    Embed,
    Embedded,
    FacesCut,
    Show,
    Shown,
)
from uncnn.daemon.protect.moved import read_moved
from uncnn.daemon.verify.displays import on_displays
from uncnn.daemon.verify.visibility import face_square, visibility
from uncnn.exporters.calibration.patches import main_face
from uncnn.plugins.api import Detector, Face, Pixels, UncnnError
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.geometry import same_face
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser


def embed(detector: Detector, recognisers: Sequence[OnnxRecogniser], asked: Embed) -> Embedded:
    """Return the judges' embeddings of one face of a photo.

    Which face: the one at `near`, or where that is None the one that the photo is of. `found` says whether the detector
    finds it; a face at `near` that it does not is embedded where it was.
    """
    photo = decode(asked.photo.read(), asked.name).pixels
    face, found = _face(looking(detector, asked.rotated).detect(photo), photo, asked.near)
    if face is None:
        return Embedded(None, False, {})
    landmarks = np.array([face.landmarks], dtype=np.float64)
    seen = {view: reencode(photo, view) for view in asked.views}
    embeddings = {
        judge.card.name: {view: judge.embed(pixels, landmarks)[0].tolist() for view, pixels in seen.items()}
        for judge in recognisers
        if judge.card.name in asked.judges
    }
    return Embedded(face, found, embeddings)


def compare_versions(asked: Compare) -> Compared:
    """Return how visible the change of a photo is, in JOD, and that of one face by other metrics.

    They compare it with the original as the worker moved it.
    """
    before, after = (decode(photo.read(), asked.name).pixels for photo in (asked.original, asked.released))
    jod, _ = on_displays(before, after, [asked.face])
    square = face_square(asked.face, before.shape)
    moved = read_moved(asked.moved)
    return Compared(jod, visibility(moved.square(0, before[square]), after[square]) if square else None)


def show(detector: Detector, asked: Show) -> Shown:
    """Return a picture or a page of two versions of a photo, beside the copy."""
    versions = (asked.original, asked.original_name), (asked.copy, asked.copy_name)
    before, after = (decode(photo.read(), name).pixels for photo, name in versions)
    made = compare(detector, before, after, asked.kind)
    return Shown(asked.copy.beside(PICTURE, made.picture), made.change, made.regions, made.left_out)


def cut_faces(detector: Detector, asked: CutFaces) -> FacesCut:
    """Return the faces of two versions of a photo, beside the copy. Raises UncnnError: they have different sizes."""
    before = decode(asked.original.read(), asked.original_name)
    found = cut(detector, before.pixels, decode(asked.copy.read(), asked.copy_name))
    squares = [picture for face in found.faces for picture in face.pictures]
    return FacesCut(_packed(asked.copy, squares), [face.size_px for face in found.faces], found.left_out)


def crop(asked: Crop) -> Content:
    """Return the square of a face of each of the photos; where it is too small for a square, the whole photo."""
    squares = []
    for version in asked.photos:
        photo = decode(version.read(), asked.name).pixels
        squares.append(photo[face_square(asked.face, photo.shape) or (slice(None), slice(None))].copy())
    return _packed(asked.photos[0], squares)


def _packed(photo: Content, squares: Sequence[Pixels]) -> Content:
    stream = io.BytesIO()
    np.savez(stream, *squares)
    return photo.beside(SQUARES, stream.getvalue())


def read_squares(packed: Content) -> list[Pixels]:
    """Return the squares, (H, W, 3), that `crop` or `cut_faces` packed; nothing is decoded.

    Raises UncnnError: they are none.
    """
    with np.load(io.BytesIO(packed.read()), allow_pickle=False) as stored:
        squares = [stored[name] for name in stored.files]
    if any(square.dtype != np.uint8 or square.ndim != 3 or square.shape[2] != 3 for square in squares):
        raise UncnnError("the squares of a face are no pictures: the verifier failed, try again")
    return squares


def _face(seen: Sequence[Face], photo: Pixels, near: Face | None) -> tuple[Face | None, bool]:
    """Return the face that is asked for, and whether it is among those `seen`."""
    if near is None:
        return (main_face(seen, photo.shape), True) if seen else (None, False)
    again = next((face for face in seen if same_face(near, face)), None)
    return again or near, again is not None
