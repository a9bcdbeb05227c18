"""The page as an ASGI application: which address is answered by what."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uncnn.daemon.web import entering, pages
from uncnn.daemon.web.assets import send_asset
from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.doors import Doors, Refusal
from uncnn.daemon.web.rendering import refused
from uncnn.daemon.web.site import Site

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
            Route("/health", pages.show_health, methods=["GET"]),
            Route("/sessions", entering.show_sessions, methods=["GET"]),
            Route("/sessions/link", entering.make_link, methods=["POST"]),
            Route("/sessions/{number:int}/end", entering.end_session, methods=["POST"]),
        ],
        middleware=[doors],
        exception_handlers={Refused: _refuse, HTTPException: _refuse, Exception: _refuse},
    )
    app.router.redirect_slashes = False
    app.state.site = site
    return app


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
