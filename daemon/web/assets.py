"""The style sheet and the scripts: read once, so that no name from a browser is ever a path."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.doors import WORKER_HEADERS

FOLDER: Final = Path(__file__).with_name("static")
_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".png": "image/png",
    ".jpg": "image/jpeg",
}
_OWN_HEADERS: Final = {"camera-worker.js": WORKER_HEADERS}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that everybody's page has."""

    content: bytes
    kind: str
    tag: str  # of its content


@cache
def assets() -> dict[str, Asset]:
    """Return all of them by name."""
    found = {}
    for file in sorted(FOLDER.iterdir()):
        if file.suffix in _KINDS:
            content = file.read_bytes()
            found[file.name] = Asset(content, _KINDS[file.suffix], _tag(content))
    return found


async def send_asset(request: Request) -> Response:
    """Answer with one of them, or that the browser has it. Raises Refused: there is none of that name."""
    asset = assets().get(request.path_params["name"])
    if asset is None:
        raise Refused(404, "path")
    return _unless_known(request, asset, _OWN_HEADERS.get(request.path_params["name"], {}))


def send_whole(request: Request, content: bytes, kind: str) -> Response:
    """Answer with what is no asset, but the same for everybody, or that the browser has it: it may keep it."""
    return _unless_known(request, Asset(content, kind, _tag(content)), {"Cache-Control": "private, no-cache"})


def _unless_known(request: Request, asset: Asset, own: Mapping[str, str]) -> Response:
    headers = {**own, "ETag": asset.tag}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.kind, headers=headers)


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'
