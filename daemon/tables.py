"""What the commands print: a table of the verdict for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict


def verdict_table(verdict: Verdict, strengths: Iterable[str] = (), surrogates: bool = False) -> Table:
    """Return a row for each face and judge, at the view that speaks most for one person; `surrogates` adds theirs."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("face", "cloak", "looks", "recogniser", "before", "after", "linked if", "view", ""):
        table.add_column(
            title, justify="right" if title in {"before", "after", "looks"} else "left", no_wrap=title != "recogniser"
        )
    named = [*strengths, *("" for _ in verdict.faces)]
    for number, (face, strength) in enumerate(zip(verdict.faces, named, strict=False), 1):
        lead = (f"{number}: {face.face.size_px:.0f} px", strength or "none", _visibility_words(face))
        for worst in worst_views(face):
            if surrogates or worst.role == "judge":
                table.add_row(*lead, *_judgement_words(worst))
                lead = ("", "", "")
    return table


def worst_views(face: FaceVerdict) -> list[Judgement]:
    """Return each recogniser's judgement in the view that speaks most for one person, judges first."""
    worst: dict[str, Judgement] = {}
    for judgement in face.judgements:
        other = worst.get(judgement.recogniser)
        sign = 1 if judgement.metric == "cosine" else -1
        if other is None or sign * judgement.after > sign * other.after:
            worst[judgement.recogniser] = judgement
    return sorted(worst.values(), key=lambda judgement: judgement.role != "judge")


def verdict_json(verdict: Verdict, strengths: Iterable[str] = ()) -> Mapping[str, Any]:
    """Return the verdict as JSON values; names are a contract of `answers.SCHEMA_VERSION`."""
    named = [*strengths, *("" for _ in verdict.faces)]
    return {
        "sha256": verdict.sha256,
        "protected": verdict.protected,
        "far": verdict.far,
        "views": list(verdict.views),
        "faces": [_face_json(face, strength) for face, strength in zip(verdict.faces, named, strict=False)],
    }


def _face_json(face: FaceVerdict, strength: str) -> Mapping[str, Any]:
    return {
        "box": list(face.face.box),
        "landmarks": [list(point) for point in face.face.landmarks],
        "score": face.face.score,
        "required": face.required,
        "uncertain": face.uncertain,
        "found_again": face.found_again,
        "strength": strength,
        "protected": face.protected,
        "ssimulacra2": face.ssimulacra2,
        "moved": face.moved,
        "judgements": [
            {
                "recogniser": judgement.recogniser,
                "role": judgement.role,
                "metric": judgement.metric,
                "view": judgement.view,
                "before": judgement.before,
                "after": judgement.after,
                "threshold": judgement.threshold,
                "linked": judgement.linked,
            }
            for judgement in face.judgements
        ],
    }


def _visibility_words(face: FaceVerdict) -> str:
    """Return SSIMULACRA2, 100 where nothing was changed, people begin to see a change below 90; and what was moved."""
    shown = "-" if face.ssimulacra2 is None else f"{face.ssimulacra2:.0f}"
    return f"{shown}, moved {face.moved:.1%}" if face.moved else shown


def _judgement_words(judgement: Judgement) -> tuple[str, str, str, str, str, str]:
    found = "[red]linked[/red]" if judgement.linked else "[green]not linked[/green]"
    return (
        judgement.recogniser + ("" if judgement.role == "judge" else " (attacked)"),
        f"{judgement.before:.3f}",
        f"{judgement.after:.3f}",
        f"{'>=' if judgement.metric == 'cosine' else '<='} {judgement.threshold:.3f}",
        judgement.view,
        found,
    )
