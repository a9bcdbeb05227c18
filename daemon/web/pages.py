"""The pages, each with what it shows filled in, so that they can be read without a script."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import site_of
from uncnn.daemon.web.state import state_json


async def show_drop(request: Request) -> Response:
    """Answer with the page on which photos are dropped."""
    return render("drop", state=state_json(site_of(request)))


async def show_today(_request: Request) -> Response:
    """Answer with the watched folders."""
    return render("today")


async def show_held(_request: Request) -> Response:
    """Answer with the photos that wait for a person."""
    return render("held")


async def show_health(_request: Request) -> Response:
    """Answer with how the service is."""
    return render("health")
