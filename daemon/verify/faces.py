"""The faces of a verdict for those who list them: where each is, what became of it, and who still links it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import count
from typing import Any

from uncnn.daemon.ledger.decisions import NOT_A_PERSON
from uncnn.daemon.verify.figures import worst_views
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict


def faces_json(verdict: Verdict, strengths: Iterable[str] = ()) -> tuple[dict[str, Any], ...]:
    """Return the faces of a verdict as JSON values, in its order; each recogniser in the view that speaks most."""
    named = [*strengths, *("" for _ in verdict.faces)]
    return tuple(map(_face, count(1), verdict.faces, named))


def _face(number: int, face: FaceVerdict, strength: str) -> dict[str, Any]:
    return {
        "number": number,
        "box": [round(edge, 1) for edge in face.face.box],
        "state": _state(face),
        "uncertain": face.uncertain or None,
        "strength": strength or None,
        "recognisers": [_recogniser(judgement) for judgement in worst_views(face)],
    }


def _state(face: FaceVerdict) -> str:
    """Return in a word what became of a face; the page has the words for people."""
    if face.decided is not None:
        return "no-person" if face.decided == NOT_A_PERSON else "left-as-asked"
    if not face.required:
        return "spared" if face.spared else "left-uncertain" if face.uncertain else "small"
    if face.protected:
        return "provisional" if face.provisional else "protected"
    return "linked"


def _recogniser(judgement: Judgement) -> dict[str, Any]:
    return {
        "name": judgement.recogniser,
        "role": judgement.role,
        "view": judgement.view,
        "linked": judgement.linked,
        "inside": None if math.isnan(judgement.inside) else round(judgement.inside, 4),
        "margin": judgement.margin,
    }
