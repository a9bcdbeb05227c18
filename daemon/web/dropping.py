"""What is done with a dropped photo: shown, downloaded, decided about, forgotten."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from uncnn.daemon.web.archive import MOST_BYTES, Member, archive, archive_size, unique_names
from uncnn.daemon.web.bodies import Refused, form
from uncnn.daemon.web.choices import chosen
from uncnn.daemon.web.dropped import UNDONE, DroppedPhoto
from uncnn.daemon.web.pictures import send_picture
from uncnn.daemon.web.site import site_of

_FILES: Final = {"original": "photo", "cloaked": "copy"}


async def show_photo(request: Request) -> Response:
    """Answer with a picture of a photo or of its copy, in one of the sizes. Raises Refused."""
    site, photo = site_of(request), _photo(request)
    which = request.path_params["which"]
    if photo.is_video or which not in _FILES or (which == "cloaked" and photo.copy is None):
        raise Refused(404, "path")
    source = site.photos.file(photo.id, _FILES[which])

    def put(target: Path) -> None:
        shutil.copyfile(source, target)

    version = photo.sha256 if which == "original" or photo.copy is None else photo.copy.sha256
    answer = await send_picture(request, f"{photo.id}.{which}-{version[:16]}", photo.name, put)
    if site.photos.get(photo.id) is None:  # it was forgotten meanwhile
        for file in site.photos.folder.glob(f"{photo.id}.*"):
            file.unlink(missing_ok=True)
        raise Refused(404, "path")
    return answer


async def send_verdict(request: Request) -> Response:
    """Answer with the whole verdict on a photo. Raises Refused: there is none."""
    photo = _photo(request)
    if photo.verdict is None:
        raise Refused(404, "path")
    return JSONResponse(_finite(json.loads(zlib.decompress(photo.verdict))))


async def send_likenesses(request: Request) -> Response:
    """Answer with whom recognisers take the faces of a photo for. Raises Refused: that was not asked, or not yet."""
    photo = _photo(request)
    if photo.likenesses is None:
        raise Refused(404, "path")
    return JSONResponse(_finite(json.loads(zlib.decompress(photo.likenesses))))


async def send_copy(request: Request) -> Response:
    """Answer with the copy of a photo. Raises Refused: there is none that is given."""
    site, photo = site_of(request), _photo(request)
    copy = photo.copy
    if copy is None or not copy.given:
        raise Refused(404, "path")
    headers = {"Content-Disposition": _attached(copy.name)}
    file = site.photos.file(photo.id, "copy")
    return FileResponse(file, media_type="application/octet-stream", headers=headers)


async def send_archive(request: Request) -> Response:
    """Answer with all copies that are given as one file. Raises Refused: there is none, or they are too large."""
    site = site_of(request)
    given = [(photo, photo.copy) for photo in site.photos.all() if photo.copy is not None and photo.copy.given]
    names = unique_names([copy.name for _, copy in given])
    members = [
        Member(name, site.photos.file(photo.id, "copy"), copy.size, copy.crc32)
        for name, (photo, copy) in zip(names, given, strict=True)
    ]
    if not members:
        raise Refused(404, "path")
    if archive_size(members) > MOST_BYTES:
        raise Refused(413, "archive")
    headers = {"Content-Disposition": _attached("uncnn.zip"), "Content-Length": str(archive_size(members))}
    return StreamingResponse(archive(members), media_type="application/zip", headers=headers)


async def release_photo(request: Request) -> Response:
    """Give the copy of a held photo, if it is the one that a person saw. Raises Refused: it is not."""
    fields = await form(request)
    site, photo = site_of(request), _photo(request)  # as it is now: nothing is waited for from here on
    if photo.copy is None or fields.get("sha256") != photo.copy.sha256 or photo.status in UNDONE:
        raise Refused(409, "changed")
    site.photos.change(photo.id, copy=replace(photo.copy, given=True))
    return _done(request)


async def retry_photo(request: Request) -> Response:
    """Have a photo cloaked again, by another policy or strength. Raises Refused: it is in work."""
    fields = await form(request)
    site, photo = site_of(request), _photo(request)  # as it is now: nothing is waited for from here on
    policy, name = chosen(site, fields)
    if photo.status in UNDONE:
        raise Refused(409, "busy")
    site.photos.file(photo.id, "copy").unlink(missing_ok=True)
    site.photos.change(photo.id, **_AGAIN, policy=policy, policy_name=name)
    return _done(request)


async def forget_photo(request: Request) -> Response:
    """Forget a photo. Raises Refused: there is none."""
    site_of(request).photos.forget(_photo(request).id)
    return _done(request)


async def forget_photos(request: Request) -> Response:
    """Forget all photos."""
    photos = site_of(request).photos
    for photo in photos.all():
        await asyncio.to_thread(photos.forget, photo.id)
    return _done(request)


_AGAIN: Final[dict[str, Any]] = {
    "status": "waiting",
    "stage": None,
    "words": "",
    "seconds": None,
    "faces": (),
    "verdict": None,
    "likenesses": None,
    "copy": None,
}


def _photo(request: Request) -> DroppedPhoto:
    """Return the photo that a request is about. Raises Refused: there is none."""
    photo = site_of(request).photos.get(request.path_params["identity"])
    if photo is None:
        raise Refused(404, "path")
    return photo


def _done(request: Request) -> Response:
    """Return the answer to what was done: to a form the page, to a script nothing."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/", 303)
    return Response(status_code=204)


def _attached(name: str) -> str:
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _finite(value: Any) -> Any:
    """Return JSON values without NaN and infinity, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
