"""How a browser is let in, and how its session is ended."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.doors import cookie_of, token_of
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.sessions import TooManyAttempts, WrongCode
from uncnn.daemon.web.site import Site, site_of


async def enter(request: Request) -> Response:
    """Exchange the code of a link for a cookie, and go on to the page. Raises Refused: the code does not work."""
    site = site_of(request)
    code, browser = request.query_params.get("code", ""), request.headers.get("user-agent", "")
    if request.method != "GET" or {"purpose", "sec-purpose"} & set(request.headers):
        raise Refused(401, "session")  # a link that is only looked at ahead is not used up
    try:
        token = site.sessions.enter(code, browser)
    except TooManyAttempts as error:
        raise Refused(429, "attempts") from error
    except WrongCode as error:
        raise Refused(401, "session") from error
    secure = f"https://{request.headers['host'].lower()}" in site.addresses.origins
    answer = RedirectResponse("/", 303)
    answer.headers["Set-Cookie"] = cookie_of(site.addresses, token, secure)
    return answer


async def show_sessions(request: Request) -> Response:
    """Answer with the browsers that were let in."""
    return render("sessions", **_listed(site_of(request), request))


async def make_link(request: Request) -> Response:
    """Answer with a link that lets one more browser in."""
    site = site_of(request)
    return render("sessions", **{**_listed(site, request), "link": site.link})


async def end_session(request: Request) -> Response:
    """End a session. Raises Refused: there is none of that number."""
    if not site_of(request).sessions.end(request.path_params["number"]):
        raise Refused(404, "path")
    return RedirectResponse("/sessions", 303)


def _listed(site: Site, request: Request) -> dict[str, Any]:
    own = site.sessions.known(token_of(request.scope, site.addresses), asks=False)
    listed = [
        {
            "number": each.number,
            "browser": each.browser,
            "began": each.began.isoformat(timespec="seconds"),
            "here": own is not None and each.number == own.number,
        }
        for each in site.sessions.all()
    ]
    return {"sessions": listed, "link": None}
