"""The page as an ASGI application: which address is answered by what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uncnn.daemon.web import dropping, entering, pages, people, settings
from uncnn.daemon.web.assets import send_asset
from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.doors import Doors, Refusal
from uncnn.daemon.web.events import send_events
from uncnn.daemon.web.housekeeping import keep_house
from uncnn.daemon.web.rendering import refused
from uncnn.daemon.web.site import Site
from uncnn.daemon.web.state import send_state
from uncnn.daemon.web.uploads import put_photo

_REASONS = {404: "path", 405: "method"}


def application(site: Site) -> Starlette:
    """Return the page of a site, behind its doors."""
    doors = Middleware(Doors, addresses=site.addresses, sessions=site.sessions, page=refused)
    app = Starlette(
        routes=[
            Route("/enter", entering.enter, methods=["GET"]),
            Route("/static/{name}", send_asset, methods=["GET"]),
            Route("/", pages.show_drop, methods=["GET"]),
            Route("/today", pages.show_today, methods=["GET"]),
            Route("/held", pages.show_held, methods=["GET"]),
            Route("/people", people.show_people, methods=["GET"]),
            Route("/people/enroll", people.enroll_person, methods=["POST"]),
            Route("/people/forget", people.forget_person, methods=["POST"]),
            Route("/settings", settings.show_settings, methods=["GET"]),
            Route("/settings", settings.change_settings, methods=["POST"]),
            Route("/health", pages.show_health, methods=["GET"]),
            Route("/events", send_events, methods=["GET"]),
            Route("/state.json", send_state, methods=["GET"]),
            Route("/photos.zip", dropping.send_archive, methods=["GET"]),
            Route("/photos/forget", dropping.forget_photos, methods=["POST"]),
            Route("/photos/{name:path}", put_photo, methods=["PUT"]),
            Route("/photos/{identity}/cloaked", dropping.send_copy, methods=["GET"]),
            Route("/photos/{identity}/verdict.json", dropping.send_verdict, methods=["GET"]),
            Route("/photos/{identity}/{which}/{size}.jpg", dropping.show_photo, methods=["GET"]),
            Route("/photos/{identity}/release", dropping.release_photo, methods=["POST"]),
            Route("/photos/{identity}/retry", dropping.retry_photo, methods=["POST"]),
            Route("/photos/{identity}/forget", dropping.forget_photo, methods=["POST"]),
            Route("/sessions", entering.show_sessions, methods=["GET"]),
            Route("/sessions/link", entering.make_link, methods=["POST"]),
            Route("/sessions/{number:int}/end", entering.end_session, methods=["POST"]),
        ],
        middleware=[doors],
        lifespan=_lifespan,
        exception_handlers={Refused: _refuse, HTTPException: _refuse, Exception: _refuse},
    )
    app.router.redirect_slashes = False
    app.state.site = site
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Work on photos while the page is served, and keep house."""
    site: Site = app.state.site
    site.changes.opened()
    site.worker.start()
    keeping = asyncio.create_task(keep_house(site))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.to_thread(site.worker.stop)
        await asyncio.to_thread(site.previews.close)


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer to what a route refused, or failed at: nothing of the fault itself is said."""
    if isinstance(error, Refused):
        refusal = error.refusal
    elif isinstance(error, HTTPException):
        refusal = Refusal(error.status_code, _REASONS.get(error.status_code, "body"))
    else:
        refusal = Refusal(500, "failed")
    answer = refused(refusal, "text/html" in request.headers.get("accept", ""))
    answer.headers["Connection"] = "close"  # whatever is still sent is not read
    return answer
