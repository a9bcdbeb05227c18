"""The faces of a held photo that a person may decide about, listed."""

from __future__ import annotations

from uncnn.daemon.verify.statement import DECIDED
from uncnn.daemon.verify.verdict import FaceVerdict


def face_line(number: int, face: FaceVerdict) -> str:
    """Return in a line where a face is, by its number, and what is the matter with it."""
    left, top, right, bottom = (round(edge) for edge in face.face.box)
    return f"face {number}, {right - left} x {bottom - top} px at {left},{top}: {_matter(face)}"


def _matter(face: FaceVerdict) -> str:
    if face.decided is not None:
        return DECIDED[face.decided]
    linked = list(dict.fromkeys(each.recogniser for each in face.judgements if each.linked))
    said = [f"linked by {', '.join(linked)}"] if face.required and linked else []
    said += [f"uncertain: {face.uncertain}"] if face.uncertain else []
    return "; ".join(said or ["no judge was asked"])
