"""The faces of a photo as recognisers know them, and a picture of whom they are taken for: for `explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from uncnn.daemon.explain.explained import ExplainedFace
from uncnn.daemon.explain.explanation import answers
from uncnn.daemon.explain.gallery import gallery_of
from uncnn.daemon.photos import decode
from uncnn.daemon.pictures.explanation_picture import Version, explanation_png
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import PICTURE, Explain, Explained, Portray
from uncnn.plugins.api import Detector, Face, Pixels
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.geometry import same_face
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser


def explain(
    detector: Detector, recognisers: Sequence[OnnxRecogniser], folders: Mapping[str, Path], asked: Explain
) -> Explained:
    """Return whom recognisers take the faces of a photo for, and those of its copy.

    `folders` are those of the recognisers, by name. Raises StrangersError: the strangers of one are damaged.
    """
    chosen = [each for each in recognisers if each.card.name in asked.recognisers]
    photo = decode(asked.photo.read(), asked.name).pixels
    seen = looking(detector, asked.rotated).detect(photo)
    large = sorted((face for face in seen if face.size_px >= asked.smallest_px), key=lambda face: -face.size_px)
    taken, small = large[: asked.most], len(seen) - len(large)
    size, copy_size, further = _size(photo), None, len(large) - len(taken)
    found: list[tuple[Face, bool]] = []
    if asked.copy is not None:
        copy = decode(asked.copy.read(), asked.name).pixels
        copy_size = _size(copy)
        if copy_size == size:
            found, more = _found_again(looking(detector, asked.rotated).detect(copy), large)
            further += more
    if copy_size not in (None, size):
        return Explained((), small, further, size, copy_size)
    galleries = [gallery_of(each.card, folders[each.card.name], asked.members) for each in chosen if taken]
    faces = []
    for number, face in enumerate(taken):
        own = _embedded(chosen, photo, face)
        again, is_found = found[number] if found else (None, None)
        theirs = None if again is None else _embedded(chosen, copy, again)
        faces.append(ExplainedFace(number + 1, face, again, is_found, answers(galleries, own, theirs)))
    return Explained(tuple(faces), small, further, size, copy_size)


def _found_again(seen: Sequence[Face], known: Sequence[Face]) -> tuple[list[tuple[Face, bool]], int]:
    """Return each known face as the detector finds it again, or where it was, and how many others there are."""
    left, found = list(seen), []
    for face in known:
        again = next((other for other in left if same_face(face, other)), None)
        if again is not None:
            left.remove(again)
        found.append((again or face, again is not None))
    return found, len(left)


def _size(photo: Pixels) -> tuple[int, int]:
    return photo.shape[1], photo.shape[0]


def _embedded(recognisers: Sequence[OnnxRecogniser], photo: Pixels, face: Face) -> dict[str, list[float]]:
    landmarks = np.array([face.landmarks], dtype=np.float64)
    return {each.card.name: each.embed(photo, landmarks)[0].tolist() for each in recognisers}


def portray(asked: Portray) -> Content:
    """Return a picture of faces and of whom they are taken for, beside the photo."""
    versions = [Version(asked.name, decode(asked.photo.read(), asked.name).pixels)]
    if asked.copy is not None:
        versions.append(Version(asked.copy_name, decode(asked.copy.read(), asked.copy_name).pixels))
    return asked.photo.beside(PICTURE, explanation_png(versions, asked.faces))
