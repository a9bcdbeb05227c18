"""A face that two recognisers were asked about, one of them calibrated, for the tests of what is shown."""

from __future__ import annotations

from dataclasses import replace

from uncnn.daemon.explain.explained import Candidate, ExplainedFace, Identification, RecogniserAnswer
from uncnn.plugins.api import Face

FACE = Face((10, 20, 110, 140), ((40, 60), (80, 60), (60, 80), (45, 100), (75, 100)), 0.9)


def known(chance: float, nobody: float, unaware: float | None = None) -> Identification:
    """Return Ada, or a stranger, and what is left."""
    candidates = (
        Candidate("Ada", "person", 0.7, chance),
        *(Candidate(f"stranger {number}", "stranger", 0.3, 0.001) for number in range(1, 5)),
    )
    return Identification(candidates, 1 - chance - 0.004 - nobody, nobody, chance > nobody, unaware)


def scored() -> Identification:
    """Return what a recogniser says that was not calibrated."""
    return Identification((Candidate("Ada", "person", 0.41, None),), None, None, None)


def face(*, copy: bool) -> ExplainedFace:
    """Return the face, with a copy or without."""
    return ExplainedFace(
        1,
        FACE,
        FACE if copy else None,
        True if copy else None,
        (
            RecogniserAnswer(
                "openvino-0095",
                "judge",
                "mobilenetv2",
                "cosine",
                1001,
                known(0.95, 0.03),
                known(0.01, 0.55, 0.998) if copy else None,
            ),
            RecogniserAnswer("own", "judge", "own", "cosine", 1, scored(), scored() if copy else None),
        ),
    )


def classified(*, copy: bool) -> ExplainedFace:
    """Return the face, as a classifier of the user's own names it besides."""
    known = face(copy=copy)
    before = Identification(
        (Candidate("Grace", "person", 0.9, 0.9), Candidate("Ada", "person", 0.06, 0.06)), 0.04, None, None
    )
    after = Identification(
        (Candidate("Ada", "person", 0.7, 0.7), Candidate("Grace", "person", 0.2, 0.2)), 0.1, None, None
    )
    answer = RecogniserAnswer("mine.onnx", "classifier", "closed set", "softmax", 40, before, after if copy else None)
    return replace(known, answers=(*known.answers, answer))
