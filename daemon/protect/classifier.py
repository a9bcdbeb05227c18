"""A closed-set classifier of the user's own: an ONNX file that gives each of the names it knows a number.

It is asked in a process of its own, in a sandbox that sees it and the photos alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from uncnn.daemon.explain.explained import Candidate, Identification, RecogniserAnswer
from uncnn.daemon.photos import decode
from uncnn.daemon.protect.messages import Classification, Classify
from uncnn.daemon.protect.wire import Handlers, Report
from uncnn.plugins import geometry
from uncnn.plugins.api import Face, Pixels, UncnnError
from uncnn.plugins.recognisers.cards import TEMPLATES, CardError, Input
from uncnn.plugins.recognisers.model_files import check_whole
from uncnn.plugins.recognisers.onnx_recogniser import crop
from uncnn.plugins.recognisers.sessions import make_session

SHOWN: Final = 5
"""So many names are told, the likeliest first."""

_ALIGNED: Final = np.array(TEMPLATES["arcface-112"]) / 112
_SUM_ERROR: Final = 1e-3


class ClassifierError(UncnnError):
    """A classifier cannot be asked: the message says what it is, and what it has to be."""


@dataclass(frozen=True, slots=True)
class OnnxClassifier:
    """A classifier in ONNX Runtime."""

    session: Any  # onnxruntime.InferenceSession
    name: str  # what a person calls it
    input: Input
    channels_last: bool

    @classmethod
    def load(cls, content: bytes, asked: Classify) -> OnnxClassifier:
        """Return the classifier of an ONNX file's bytes. Raises ClassifierError: it is none that can be asked."""
        try:
            check_whole(Path(asked.classifier), content)
            session = make_session(content, ["CPUExecutionProvider"])
        except CardError as error:
            raise ClassifierError(str(error)) from error
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            words = " ".join(str(error).split())[:300]
            raise ClassifierError(f"{asked.classifier}: does not run in ONNX Runtime ({words})") from error
        shape = [size if isinstance(size, int) else None for size in session.get_inputs()[0].shape]
        channels_last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3
        height, width = (shape[1:3] if channels_last else shape[2:4]) if len(shape) == 4 else (None, None)
        if len(session.get_inputs()) != 1 or not height or not width or 3 not in (shape[1], shape[3]):
            raise ClassifierError(
                f"{asked.classifier}: its input has the shape {session.get_inputs()[0].shape}: export it for one "
                "picture of three channels, (N, 3, H, W) or (N, H, W, 3), of a fixed size"
            )
        fed = Input(height=height, width=width, order=asked.order, mean=asked.mean, std=asked.std)
        return cls(session, asked.classifier, fed, channels_last)

    def chances(self, photo: Pixels, face: Face, names: int) -> npt.NDArray[np.float64]:
        """Return the chance of each name, (names,). Raises ClassifierError: it gives another number of them."""
        size = np.array([self.input.width, self.input.height])
        side = size.min()
        template = _ALIGNED * side + (size - side) / 2
        matrix = geometry.similarities(np.array([face.landmarks], dtype=np.float64), template)[0]
        fed = self.input.prepare(crop(photo, matrix, (self.input.width, self.input.height))[None])
        if self.channels_last:
            fed = np.ascontiguousarray(fed.transpose(0, 2, 3, 1))
        try:
            given = np.asarray(self.session.run(None, {self.session.get_inputs()[0].name: fed})[0], dtype=np.float64)
        except Exception as error:  # as above
            words = " ".join(str(error).split())[:300]
            raise ClassifierError(f"{self.name}: does not run in ONNX Runtime ({words})") from error
        values = given.reshape(-1)
        if len(values) != names:
            raise ClassifierError(
                f"{self.name} gives {len(values):,} numbers, but there are {names:,} names: name its classes, a "
                "line each, in the order of its output"
            )
        if not np.isfinite(values).all():
            raise ClassifierError(f"{self.name} gives no finite number for a face: look at how it was exported")
        return _softmax(values)


def make_classifier() -> Handlers:
    """Return what the process answers."""
    return {Classify: classify}


def classify(asked: Classify, _report: Report) -> Classification:
    """Return whom the classifier takes each face for, and the same face in the copy.

    Raises ClassifierError: it cannot be asked. PhotoError: one is no photo.
    """
    classifier = OnnxClassifier.load(asked.model.read(), asked)
    photo = decode(asked.photo.read(), asked.name).pixels
    copy = None if asked.copy is None else decode(asked.copy.read(), asked.name).pixels
    found = []
    for face, again in zip(asked.faces, asked.again, strict=True):
        original = _identified(classifier.chances(photo, face, len(asked.names)), asked.names)
        theirs = None
        if copy is not None and again is not None:
            theirs = _identified(classifier.chances(copy, again, len(asked.names)), asked.names)
        found.append(
            RecogniserAnswer(
                asked.classifier, "classifier", "closed set", "softmax", len(asked.names), original, theirs
            )
        )
    return Classification(tuple(found))


def _identified(chances: npt.NDArray[np.float64], names: Sequence[str]) -> Identification:
    first = np.argsort(-chances, kind="stable")[:SHOWN]
    candidates = tuple(
        Candidate(names[place], "person", float(chances[place]), float(chances[place])) for place in first
    )
    return Identification(candidates, max(float(1 - chances[first].sum()), 0.0), None, None)


def _softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return chances: the values themselves where the network ends in a softmax of its own."""
    if (values >= 0).all() and abs(values.sum() - 1) < _SUM_ERROR:
        return values
    raised = np.exp(values - values.max())
    chances: npt.NDArray[np.float64] = raised / raised.sum()
    return chances
