"""The page as an ASGI application: which address is answered by what."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from uncnn.daemon.web import camera, dropping, entering, health, held, models, people, settings, today
from uncnn.daemon.web.announcing import another_on_enter
from uncnn.daemon.web.assets import send_asset
from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.doors import Doors, Refusal
from uncnn.daemon.web.events import send_events
from uncnn.daemon.web.housekeeping import keep_house
from uncnn.daemon.web.ledger_pictures import send_size, show_face, show_ledger_photo
from uncnn.daemon.web.rendering import refused
from uncnn.daemon.web.site import Site
from uncnn.daemon.web.state import send_state, show_drop
from uncnn.daemon.web.uploads import put_photo

_LOG: Final = logging.getLogger(__name__)
_REASONS: Final = {404: "path", 405: "method"}


def application(site: Site) -> ASGIApp:
    """Return the page of a site, behind its doors."""
    app = Starlette(
        routes=[
            Route("/enter", entering.enter, methods=["GET"]),
            Route("/static/{name}", send_asset, methods=["GET"]),
            Route("/", show_drop, methods=["GET"]),
            Route("/state.json", send_state, methods=["GET"]),
            Route("/events", send_events, methods=["GET"]),
            Route("/photos.zip", dropping.send_archive, methods=["GET"]),
            Route("/photos/forget", dropping.forget_photos, methods=["POST"]),
            Route("/photos/{name:path}", put_photo, methods=["PUT"]),
            Route("/photos/{identity}/cloaked", dropping.send_copy, methods=["GET"]),
            Route("/photos/{identity}/verdict.json", dropping.send_verdict, methods=["GET"]),
            Route("/photos/{identity}/likenesses.json", dropping.send_likenesses, methods=["GET"]),
            Route("/photos/{identity}/{which}/{size}.jpg", dropping.show_photo, methods=["GET"]),
            Route("/photos/{identity}/release", dropping.release_photo, methods=["POST"]),
            Route("/photos/{identity}/retry", dropping.retry_photo, methods=["POST"]),
            Route("/photos/{identity}/forget", dropping.forget_photo, methods=["POST"]),
            Route("/camera", camera.show_camera, methods=["GET"]),
            Route("/camera.json", camera.send_camera, methods=["GET"]),
            Route("/camera/{name}.onnx", camera.send_model, methods=["GET"]),
            Route("/onnxruntime/{name}", camera.send_runtime, methods=["GET"]),
            Route("/today", today.show_today, methods=["GET"]),
            Route("/today", today.watch_folder, methods=["POST"]),
            Route("/today.json", today.send_today, methods=["GET"]),
            Route("/held", held.show_held, methods=["GET"]),
            Route("/held.json", held.send_held, methods=["GET"]),
            Route("/held/{number:int}/{decision}", held.decide, methods=["POST"]),
            Route("/ledger/{number:int}/face/{face:int}.jpg", show_face, methods=["GET"]),
            Route("/ledger/{number:int}/{which}.json", send_size, methods=["GET"]),
            Route("/ledger/{number:int}/{which}/{size}.jpg", show_ledger_photo, methods=["GET"]),
            Route("/people", people.show_people, methods=["GET"]),
            Route("/people/enroll", people.enroll_person, methods=["POST"]),
            Route("/people/forget", people.forget_person, methods=["POST"]),
            Route("/models", models.show_models, methods=["GET"]),
            Route("/models.json", models.send_models, methods=["GET"]),
            Route("/models/{name}/pull", models.pull_model, methods=["POST"]),
            Route("/settings", settings.show_settings, methods=["GET"]),
            Route("/settings", settings.change_settings, methods=["POST"]),
            Route("/health", health.show_health, methods=["GET"]),
            Route("/health.json", health.send_health, methods=["GET"]),
            Route("/sessions", entering.show_sessions, methods=["GET"]),
            Route("/sessions/link", entering.make_link, methods=["POST"]),
            Route("/sessions/{number:int}/end", entering.end_session, methods=["POST"]),
        ],
        lifespan=_lifespan,
        exception_handlers={Refused: _refuse, HTTPException: _refuse, Exception: _refuse},
    )
    app.router.redirect_slashes = False
    app.state.site = site
    return Doors(app, site.addresses, site.sessions, refused)


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Work on photos while the page is served, and keep house."""
    site: Site = app.state.site
    site.changes.opened()
    site.worker.start()
    site.video_worker.start()
    keeping = asyncio.create_task(keep_house(site))
    try:
        with another_on_enter(site):
            yield
    finally:
        keeping.cancel()
        site.pulls.close()
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in (site.worker, site.video_worker)))
        await asyncio.to_thread(site.previews.close)


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer to what a route refused, or failed at; of a fault itself nothing is said but on the terminal."""
    if isinstance(error, Refused):
        refusal = error.refusal
    elif isinstance(error, HTTPException):
        refusal = Refusal(error.status_code, _REASONS.get(error.status_code, "body"))
    else:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        refusal = Refusal(500, "failed")
    answer = refused(refusal, "text/html" in request.headers.get("accept", ""))
    answer.headers["Connection"] = "close"  # whatever is still sent is not read
    return answer
