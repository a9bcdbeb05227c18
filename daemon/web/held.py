"""The photos that wait for a person, and what the person decides about them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.files.kept import kept_file
from uncnn.daemon.jobs import actions
from uncnn.daemon.jobs.actions import AskedError, Step
from uncnn.daemon.ledger.record import Record, record
from uncnn.daemon.ledger.states import State
from uncnn.daemon.ledger.view import Entry, view
from uncnn.daemon.output import SCHEMA_VERSION
from uncnn.daemon.verify.faces import faces_json
from uncnn.daemon.verify.keeping import kept_of
from uncnn.daemon.web.bodies import Refused, form
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import site_of
from uncnn.daemon.web.today import photo_json

MOST: Final = 100
"""The newest photos that wait are shown; once they are decided about, the others are."""

DECISIONS: Final = ("release", "retry", "drop")


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
    if decision not in DECISIONS:
        raise Refused(404, "path")
    try:
        (step,) = await asyncio.to_thread(_decided, decision, number, fields.get("sha256", ""))
    except AskedError as error:
        raise Refused(404, "path") from error
    site_of(request).changes.tell()
    status = 409 if step.problem else 200
    if "text/html" in request.headers.get("accept", ""):
        answer = render("held", held=await asyncio.to_thread(_held_json), step=_step_json(step))
        answer.status_code = status
        return answer
    return JSONResponse(_step_json(step), status)


def _decided(decision: str, number: str, shown: str) -> list[Step]:
    """Take the step. Raises AskedError, LedgerError, FolderError."""
    if decision == "release":
        return actions.release([number], shown)
    return actions.retry([number]) if decision == "retry" else actions.drop([number])


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
    """Return a photo that waits: with its faces, and the sha256 of the copy that would be published."""
    known = record(ledger_file(), entry.number)
    kept = known is not None and entry.state is State.HELD and kept_file(known.job.kept) is not None
    return {
        **photo_json(entry),
        "sha256": known.job.released_sha256 if known is not None and kept else None,
        "faces": _faces(known),
        "decisions": [each for each in DECISIONS if each != "release" or kept],
    }


def _faces(known: Record | None) -> tuple[dict[str, Any], ...]:
    if known is None or known.proof is None:
        return ()
    try:
        kept = kept_of(*known.proof)
    except ValueError:  # an older uncnn's: it is shown without
        return ()
    return faces_json(kept.verdict, kept.strengths)
