"""What became of the photos of the watched folders, as the ledger has it: the page, and its data."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uncnn.daemon.commands.status import entry_json, status_json
from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.ledger.states import State
from uncnn.daemon.ledger.view import Entry, View, entries, view
from uncnn.daemon.output import SCHEMA_VERSION
from uncnn.daemon.text import printable
from uncnn.daemon.web.adding import Adding, add_folder, form_json
from uncnn.daemon.web.bodies import Refused, form
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import site_of

NEWEST: Final = 60
MOST: Final = 500
"""So many photos are listed, and can be asked for; a search finds the others."""

_LONGEST_SEARCH: Final = 200


async def show_today(request: Request) -> Response:
    """Answer with the watched folders and the newest photos."""
    return await _page(request, Adding({}))


async def watch_folder(request: Request) -> Response:
    """Add a folder to the watched ones, and answer with all, and what became of it. Raises Refused: no such policy."""
    adding = await asyncio.to_thread(add_folder, site_of(request), await form(request))
    return await _page(request, adding, 422 if adding.failed else 200)


async def _page(request: Request, adding: Adding, status: int = 200) -> Response:
    today = await asyncio.to_thread(_today_json, request)
    return render("today", status, today=today, adding=form_json(site_of(request), adding))


async def send_today(request: Request) -> Response:
    """Answer with the same as JSON."""
    return JSONResponse(await asyncio.to_thread(_today_json, request))


def _today_json(request: Request) -> dict[str, Any]:
    """Return the folders, and the photos that the request asks for. Raises Refused, LedgerError."""
    states, named, newest = _asked(request)
    found = view(ledger_file(), 0)
    listed, in_all = entries(ledger_file(), states, newest, named)
    status = status_json(found, datetime.now(UTC))
    folders = [{**folder, "ignored": _ignored_json(found, place)} for place, folder in enumerate(status["folders"])]
    return {
        "schema_version": SCHEMA_VERSION,
        "service": status["service"],
        "folders": folders,
        "states": [state.value for state in State],
        "asked": {"states": [state.value for state in states], "name": named, "newest": newest},
        "photos": [photo_json(entry) for entry in reversed(listed)],
        "photos_in_all": in_all,
    }


def photo_json(entry: Entry) -> dict[str, Any]:
    """Return a photo of the ledger as JSON values."""
    return {
        **entry_json(entry),
        "name": printable(entry.photo.name),
        "attempts": entry.attempts,
        "due": entry.due.isoformat(timespec="seconds") if entry.due else None,
        "published": str(entry.published) if entry.published else None,
        "faces": entry.faces,
        "uncertain": entry.uncertain,
        "provisional": entry.provisional,
    }


def _ignored_json(found: View | None, place: int) -> list[dict[str, Any]]:
    ignored = found.folders[place].ignored if found is not None else {}
    return [{"reason": reason.value, "words": reason.words, "number": number} for reason, number in ignored.items()]


def _asked(request: Request) -> tuple[list[State], str, int]:
    """Return which states, name and number of photos are asked for. Raises Refused: there is no such state."""
    query = request.query_params
    try:
        states = [State(each) for each in query.getlist("state") if each]
        newest = int(query.get("newest", NEWEST))
    except ValueError as error:
        raise Refused(400, "choice") from error
    return states, query.get("name", "")[:_LONGEST_SEARCH], max(1, min(newest, MOST))
