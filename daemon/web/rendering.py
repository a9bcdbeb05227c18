"""Pages from templates: whatever is filled in is escaped, and a string that there is not is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, JSONResponse, Response

from uncnn.daemon.web.assets import assets
from uncnn.daemon.web.doors import Refusal
from uncnn.daemon.web.strings import said, strings
from uncnn.daemon.web.waiting import waiting

PAGES: Final = ("drop", "camera", "today", "held", "people", "models", "settings", "health", "sessions")

_LATER: Final = "camera"
"""How the names of scripts begin that only one page has, once it needs them."""

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


def render(page: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return one of the pages with `values` filled in."""
    scripts = [name for name in assets() if ".js" in name and not name.startswith(_LATER)]
    own = {"strings": strings(), "pages": PAGES, "page": page, "scripts": scripts, "waiting": waiting()}
    content = _TEMPLATES.get_template(f"{page}.html").render(own, **values)
    return HTMLResponse(content, status)


def refused(refusal: Refusal, for_person: bool) -> Response:
    """Return what is said to whoever is refused, as a page or as JSON."""
    words = said("refused", refusal.reason)
    if not for_person:
        return JSONResponse({"refused": words}, refusal.status)
    content = _TEMPLATES.get_template("refused.html").render(strings=strings(), words=words)
    return HTMLResponse(content, refusal.status)
