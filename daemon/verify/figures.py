"""A verdict in figures: as JSON values for programs, and of each recogniser the view that speaks most against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from uncnn.daemon.verify.jod import change_words
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict, families_of, judges_of


def verdict_json(verdict: Verdict, strengths: Iterable[str] = ()) -> Mapping[str, Any]:
    """Return the verdict as JSON values; names are a contract of `output.SCHEMA_VERSION`."""
    named = [*strengths, *("" for _ in verdict.faces)]
    judgements = [judgement for face in verdict.required for judgement in face.judgements]
    return {
        "sha256": verdict.sha256,
        "verdict": verdict.kind,
        "protected": verdict.protected,
        "provisional": verdict.provisional,
        "faces_found": len(verdict.faces),
        "far": verdict.far,
        "margin": verdict.margin,
        "views": list(verdict.views),
        "jod": None if verdict.jod is None else asdict(verdict.jod),
        "change": None if verdict.jod is None else change_words(verdict.jod),
        "judges": judges_of(judgements),
        "families": families_of(judgements),
        "closest": _closest_json(verdict.closest),
        "decisions_not_applied": list(verdict.unapplied),
        "faces": [_face_json(face, strength) for face, strength in zip(verdict.faces, named, strict=False)],
    }


def _closest_json(judgement: Judgement | None) -> Mapping[str, Any] | None:
    if judgement is None:
        return None
    return {
        "recogniser": judgement.recogniser,
        "role": judgement.role,
        "view": judgement.view,
        "inside": judgement.inside,
        "margin": judgement.margin,
    }


def _face_json(face: FaceVerdict, strength: str) -> Mapping[str, Any]:
    return {
        "box": list(face.face.box),
        "landmarks": [list(point) for point in face.face.landmarks],
        "score": face.face.score,
        "required": face.required,
        "uncertain": face.uncertain,
        "decided": face.decided,
        "found_again": face.found_again,
        "strength": strength,
        "protected": face.protected,
        "provisional": face.provisional,
        "closest": _closest_json(face.closest),
        "jod_zoom": face.zoom,
        "moved": face.moved,
        "judgements": [
            {
                "recogniser": judgement.recogniser,
                "role": judgement.role,
                "family": judgement.family,
                "metric": judgement.metric,
                "view": judgement.view,
                "before": judgement.before,
                "after": judgement.after,
                "threshold": judgement.threshold,
                "margin": judgement.margin,
                "inside": judgement.inside,
                "linked": judgement.linked,
            }
            for judgement in face.judgements
        ],
    }


def worst_views(face: FaceVerdict) -> list[Judgement]:
    """Return each recogniser's judgement in the view that speaks most for one person, judges first."""
    worst: dict[str, Judgement] = {}
    for judgement in face.judgements:
        other = worst.get(judgement.recogniser)
        if other is None or (judgement.linked, -judgement.inside) > (other.linked, -other.inside):
            worst[judgement.recogniser] = judgement
    return sorted(worst.values(), key=lambda judgement: judgement.role != "judge")
