"""The faces of a verdict, as the page shows them: where each is, what became of it, and who still links it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from uncnn.daemon.verify.figures import worst_views
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict


def faces_json(verdict: Verdict, strengths: Iterable[str] = ()) -> tuple[dict[str, Any], ...]:
    """Return the faces of a verdict as JSON values, in its order; each recogniser in the view that speaks most."""
    named = [*strengths, *("" for _ in verdict.faces)]
    return tuple(_face(face, strength) for face, strength in zip(verdict.faces, named, strict=False))


def _face(face: FaceVerdict, strength: str) -> dict[str, Any]:
    return {
        "box": [round(edge, 1) for edge in face.face.box],
        "state": _state(face),
        "uncertain": face.uncertain or None,
        "strength": strength or None,
        "recognisers": [_recogniser(judgement) for judgement in worst_views(face)],
    }


def _state(face: FaceVerdict) -> str:
    """Return in a word what became of a face; the page has the words for people."""
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
