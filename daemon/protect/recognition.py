"""The faces of a photo as recognisers know them, and a picture of whom they are taken for: for `explain`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uncnn.daemon.photos import decode
from uncnn.daemon.pictures.explanation_picture import Version, explanation_png
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import PICTURE, Description, Portray, Recognise, Recognised, RecognisedFace
from uncnn.plugins.api import Detector, Face, Pixels
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.geometry import same_face
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser


def recognise(detector: Detector, recognisers: Sequence[OnnxRecogniser], asked: Recognise) -> Recognised:
    """Return every face of a photo, the largest first; of a copy first those of the original, in their order."""
    photo = decode(asked.photo.read(), asked.name).pixels
    asked_ones = [each for each in recognisers if each.card.name in asked.recognisers]
    left = sorted(looking(detector, asked.rotated).detect(photo), key=lambda face: -face.size_px)
    faces: list[tuple[Face, bool]] = []
    for known in asked.faces:
        again = next((face for face in left if same_face(known, face)), None)
        if again is not None:
            left.remove(again)
        faces.append((again or known, again is not None))
    faces += [(face, True) for face in left]
    known_faces = len(asked.faces)
    found = tuple(
        RecognisedFace(
            face,
            is_found,
            _described(asked_ones, photo, face) if number < known_faces or face.size_px >= asked.smallest_px else (),
        )
        for number, (face, is_found) in enumerate(faces)
    )
    return Recognised(found, (photo.shape[1], photo.shape[0]))


def portray(asked: Portray) -> Content:
    """Return a picture of faces and of whom they are taken for, beside the photo."""
    versions = [Version(asked.name, decode(asked.photo.read(), asked.name).pixels)]
    if asked.copy is not None:
        versions.append(Version(asked.copy_name, decode(asked.copy.read(), asked.copy_name).pixels))
    return asked.photo.beside(PICTURE, explanation_png(versions, asked.faces))


def _described(recognisers: Sequence[OnnxRecogniser], photo: Pixels, face: Face) -> tuple[Description, ...]:
    landmarks = np.array([face.landmarks], dtype=np.float64)
    return tuple(
        Description(each.card.name, each.card.sha256, each.embed(photo, landmarks)[0].tolist()) for each in recognisers
    )
