"""`GET /events`: a line whenever something is another by now; what it is the page asks for itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.doors import token_of
from uncnn.daemon.web.site import Site, site_of

MOST_STREAMS: Final = 24
PING_SECONDS: Final = 15.0
"""So often something is said though nothing changed: a connection that is gone is noticed."""

APART_SECONDS: Final = 0.25
RECONNECT_MS: Final = 1000


async def send_events(request: Request) -> Response:
    """Answer with a stream that begins with the present version. Raises Refused: there are too many of them."""
    site = site_of(request)
    if site.changes.listeners >= MOST_STREAMS:
        raise Refused(429, "streams")
    token = token_of(request.scope, site.addresses)
    if request.method != "GET":
        return Response(media_type="text/event-stream")
    return StreamingResponse(_events(site, token), media_type="text/event-stream")


async def _events(site: Site, token: str) -> AsyncIterator[str]:
    """Yield an event for each version, until the session or the page ends."""
    version = site.changes.version
    yield f"retry: {RECONNECT_MS}\n{_event(version)}"
    while True:
        newest = await site.changes.after(version, PING_SECONDS)
        if site.changes.closed or site.sessions.known(token) is None:  # an open page is in use
            return
        yield ": \n\n" if newest == version else _event(newest)
        version = newest
        await asyncio.sleep(APART_SECONDS)


def _event(version: int) -> str:
    return f"event: changed\nid: {version}\ndata: {json.dumps({'version': version})}\n\n"
