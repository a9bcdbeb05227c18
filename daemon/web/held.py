"""The photos that wait for a person, and what the person decides about them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.files.kept import kept_file
from uncnn.daemon.jobs import actions
from uncnn.daemon.jobs.actions import AskedError, Step
from uncnn.daemon.jobs.face_decisions import Wish, kept_verdict, leave, open_faces
from uncnn.daemon.ledger.decisions import LEAVE, NOT_A_PERSON, Kind
from uncnn.daemon.ledger.record import record
from uncnn.daemon.ledger.states import State
from uncnn.daemon.ledger.view import Entry, view
from uncnn.daemon.output import SCHEMA_VERSION
from uncnn.daemon.protect.pipeline import next_strength
from uncnn.daemon.verify.faces import faces_json
from uncnn.daemon.verify.keeping import Kept
from uncnn.daemon.web.bodies import Refused, form
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import site_of
from uncnn.daemon.web.today import photo_json
from uncnn.plugins.registry import STRENGTHS

MOST: Final = 100
"""The newest photos that wait are shown; once they are decided about, the others are."""

DECISIONS: Final = ("release", "retry", "stronger", "drop")
"""About a photo."""

FACE_DECISIONS: Final[Mapping[str, Kind | None]] = {LEAVE: LEAVE, NOT_A_PERSON: NOT_A_PERSON, "undo": None}
"""About one of its faces, and what holds for it then."""


async def show_held(_request: Request) -> Response:
    """Answer with the photos that wait for a person."""
    return render("held", held=await asyncio.to_thread(_held_json), step=None)


async def send_held(_request: Request) -> Response:
    """Answer with the same as JSON."""
    return JSONResponse(await asyncio.to_thread(_held_json))


async def decide(request: Request) -> Response:
    """Do what a person decided about a photo, and answer with what became of it. Raises Refused: it cannot be done."""
    decision, number = request.path_params["decision"], str(request.path_params["number"])
    fields = await form(request)
    if decision not in DECISIONS and decision not in FACE_DECISIONS:
        raise Refused(404, "path")
    try:
        step = await asyncio.to_thread(_decided, decision, number, fields)
    except AskedError as error:
        raise Refused(404, "path") from error
    site_of(request).changes.tell()
    status = 409 if step.problem else 200
    if "text/html" in request.headers.get("accept", ""):
        answer = render("held", held=await asyncio.to_thread(_held_json), step=_step_json(step))
        answer.status_code = status
        return answer
    return JSONResponse(_step_json(step), status)


def _decided(decision: str, number: str, fields: Mapping[str, str]) -> Step:
    """Take the step. Raises Refused, AskedError, LedgerError, FolderError."""
    shown = fields.get("sha256", "")
    if decision in FACE_DECISIONS:
        face = fields.get("face", "")
        if not face.isdecimal():
            raise Refused(400, "body")
        return leave(number, Wish((int(face),), FACE_DECISIONS[decision], "page", shown))
    if decision == "stronger":
        strength = fields.get("strength", "")
        if strength not in STRENGTHS:
            raise Refused(400, "choice")
        return actions.retry([number], strength=strength, shown=shown)[0]
    if decision == "release":
        return actions.release([number], shown)[0]
    return (actions.retry([number]) if decision == "retry" else actions.drop([number]))[0]


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "number": step.job.id,
        "photo": str(step.photo),
        "state": step.job.state.value,
        "published": str(step.published) if step.published else None,
        "problem": step.problem,
        "note": step.note or None,
    }


def _held_json() -> dict[str, Any]:
    """Return the photos that wait, the newest first. Raises LedgerError, FolderError."""
    found = view(ledger_file(), MOST)
    waiting = found.concerns if found is not None else ()
    return {
        "schema_version": SCHEMA_VERSION,
        "photos": [_waiting_json(entry) for entry in waiting],
        "photos_in_all": found.concerns_in_all if found is not None else 0,
    }


def _waiting_json(entry: Entry) -> dict[str, Any]:
    """Return a photo that waits: with its faces, and the sha256 of the copy that would be published.

    What can be decided is said of the photo and of each face; what takes a copy to look at, only while that is kept.
    """
    known, verdict = record(ledger_file(), entry.number), kept_verdict(entry.number)
    there = known is not None and entry.state is State.HELD and kept_file(known.job.kept) is not None
    stronger = _stronger(verdict) if there and verdict is not None else None
    able = {"release": there, "retry": True, "stronger": stronger is not None, "drop": True}
    return {
        **photo_json(entry),
        "sha256": known.job.released_sha256 if known is not None and there else None,
        "faces": _faces(verdict, there) if verdict is not None else (),
        "decisions": [each for each in DECISIONS if able[each]],
        "stronger": stronger,
    }


def _faces(kept: Kept, there: bool) -> tuple[dict[str, Any], ...]:
    """Return the faces of a verdict as JSON values, each with what a person may decide about it."""
    listed = dict(open_faces(kept.verdict.faces)) if there else {}

    def decisions(number: int) -> list[str]:
        face = listed.get(number)
        return [] if face is None else ["undo"] if face.decided else [LEAVE, NOT_A_PERSON]

    return tuple({**face, "decisions": decisions(face["number"])} for face in faces_json(kept.verdict, kept.strengths))


def _stronger(kept: Kept) -> str | None:
    """Return the strength beyond those that were tried, where a face is linked all the same; None: there is none."""
    tried = [strength for strength in kept.strengths if strength]
    return next_strength(tried) if tried and kept.verdict.kind == "not-protected" else None
