"""What the commands print: lines about the verdict for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape

from uncnn.daemon.verify.statement import asked_words
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict, families_of, judges_of

_HEAD = ("recogniser", "", "before", "after", "linked if", "view", "")
_RIGHT = {"before", "after"}
_LEFT_OUT = 1  # the column of the roles, where none but judges are listed

Row = tuple[str, ...]


def verdict_lines(verdict: Verdict, strengths: Iterable[str] = (), surrogates: bool = False) -> Iterator[str]:
    """Yield as markup a line for each face, and one for each judge at the view that speaks most for one person.

    `surrogates` adds theirs. No line is made to fit: with names of 23 letters at most they stay within 80 columns.
    """
    named = [*strengths, *("" for _ in verdict.faces)]
    listed = [
        (face, strength, [each for each in worst_views(face) if surrogates or each.role == "judge"])
        for face, strength in zip(verdict.faces, named, strict=False)
    ]
    if not listed:
        return
    yield f"  asked: {asked_words(verdict)}"
    rows = [[_judgement_words(each, surrogates) for each in judgements] for _, _, judgements in listed]
    head = _HEAD if surrogates else _without_role(_HEAD)
    widths = [max(map(len, column)) for column in zip(head, *(row for own in rows for row in own), strict=True)]
    yield f"  [bold]{_aligned(head, head, widths)}[/bold]"
    for number, ((face, strength, judgements), own) in enumerate(zip(listed, rows, strict=True), 1):
        yield f"  face {number}: {_face_words(face, strength)}"
        for judgement, row in zip(judgements, own, strict=True):
            colour = "red" if judgement.linked else "green"
            line = escape(_aligned(row[:-1], head, widths))
            yield f"  {line} [{colour}]{row[-1]}[/{colour}]"


def worst_views(face: FaceVerdict) -> list[Judgement]:
    """Return each recogniser's judgement in the view that speaks most for one person, judges first."""
    worst: dict[str, Judgement] = {}
    for judgement in face.judgements:
        other = worst.get(judgement.recogniser)
        if other is None or (judgement.linked, -judgement.inside) > (other.linked, -other.inside):
            worst[judgement.recogniser] = judgement
    return sorted(worst.values(), key=lambda judgement: judgement.role != "judge")


def verdict_json(verdict: Verdict, strengths: Iterable[str] = ()) -> Mapping[str, Any]:
    """Return the verdict as JSON values; names are a contract of `answers.SCHEMA_VERSION`."""
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
        "judges": judges_of(judgements),
        "families": families_of(judgements),
        "closest": _closest_json(verdict.closest),
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
        "found_again": face.found_again,
        "strength": strength,
        "protected": face.protected,
        "provisional": face.provisional,
        "closest": _closest_json(face.closest),
        "ssimulacra2": face.ssimulacra2,
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


def _face_words(face: FaceVerdict, strength: str) -> str:
    """Return its size, its cloak, how it looks by SSIMULACRA2 (100: as before; below 90 it shows), and the verdict."""
    shown = "" if face.ssimulacra2 is None else f", looks {face.ssimulacra2:.0f}"
    shown += f", moved {face.moved:.1%}" if face.moved else ""
    state = "provisional" if face.provisional else "protected" if face.protected else "not protected"
    if not face.required:
        state = "left alone" if face.spared else "too small to be asked for"
    return f"{face.face.size_px:.0f} px, cloak {strength or 'none'}{shown}: {state}"


def _judgement_words(judgement: Judgement, surrogates: bool) -> Row:
    found = "not linked"
    if judgement.linked:
        found = "no proof" if judgement.blind else "too near" if judgement.inside > 0 else "linked"
    row = (
        judgement.recogniser,
        "judge" if judgement.role == "judge" else "attacked",
        f"{judgement.before:.3f}",
        f"{judgement.after:.3f}",
        f"{'>=' if judgement.metric == 'cosine' else '<='} {judgement.limit:.3f}",
        judgement.view,
        found,
    )
    return row if surrogates else _without_role(row)


def _without_role(row: Row) -> Row:
    return (*row[:_LEFT_OUT], *row[_LEFT_OUT + 1 :])


def _aligned(row: Sequence[str], head: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(row, head, widths, strict=False)
    return " ".join(cell.rjust(width) if title in _RIGHT else cell.ljust(width) for cell, title, width in cells)
