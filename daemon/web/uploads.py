"""A photo that a browser sends: raw, one file a request, straight into a private file."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.files.spool import SIZE_LIMIT
from uncnn.daemon.text import printable
from uncnn.daemon.video.needed import what_keeps_videos
from uncnn.daemon.web.bodies import Refused, pieces
from uncnn.daemon.web.choices import chosen
from uncnn.daemon.web.dropped import VIDEO_LIMIT, DroppedPhotos, NoRoom, TooManyAtOnce
from uncnn.daemon.web.site import site_of
from uncnn.daemon.web.state import photo_json

AT_ONCE: Final = 8
"""Photos that are sent at the same time."""

LEAST_FREE: Final = 1_000_000_000
"""Bytes that are left on the disk for others."""

_WRITTEN_AT_ONCE: Final = 1 << 18
_LONGEST_NAME: Final = 200
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


async def put_photo(request: Request) -> Response:
    """Take a photo, and answer with what is known of it. Raises Refused: it is too much, or comes too slowly."""
    site = site_of(request)
    policy, policy_name = chosen(site, request.query_params)
    name = plain_name(request.path_params["name"])
    if is_video_name(name) and what_keeps_videos():
        raise Refused(415, "video")
    try:
        identity = site.photos.begin(AT_ONCE)
    except TooManyAtOnce as error:
        raise Refused(429, "sending") from error
    except NoRoom as error:
        raise Refused(507, "room") from error
    try:
        sha256 = await _receive(request, site.photos, identity, VIDEO_LIMIT if is_video_name(name) else SIZE_LIMIT)
        photo = site.photos.add(identity, name, sha256, policy, policy_name)
    except NoRoom as error:
        raise Refused(507, "room") from error
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it
    except OSError as error:
        raise Refused(507, "disk") from error
    finally:
        site.photos.give_up(identity)
    return JSONResponse(photo_json(site.photos, photo), 201)


async def _receive(request: Request, photos: DroppedPhotos, identity: str, limit: int) -> str:
    """Write the body of a request, of so many bytes at most, into the file of a photo, and return its sha256.

    Raises Refused, NoRoom, OSError.
    """
    file, digest, waiting, size, pending = photos.file(identity, "part"), hashlib.sha256(), list[bytes](), 0, 0
    opened = os.open(file, _CREATE, 0o600)
    try:
        async for piece in pieces(request, limit):
            photos.grow(identity, len(piece))
            size, pending = size + len(piece), pending + len(piece)
            waiting.append(piece)
            if pending >= _WRITTEN_AT_ONCE:
                await asyncio.to_thread(_write, opened, waiting, digest)
                pending = 0
        await asyncio.to_thread(_write, opened, waiting, digest)
    finally:
        os.close(opened)
    if size == 0:
        raise Refused(400, "empty")
    return digest.hexdigest()


def _write(opened: int, waiting: list[bytes], digest: hashlib._Hash) -> None:
    """Write the pieces that wait, of which none is left then. Raises NoRoom: others need what is left of the disk."""
    free = os.fstatvfs(opened)
    if free.f_bavail * free.f_frsize < LEAST_FREE:
        raise NoRoom
    for piece in waiting:
        digest.update(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(opened, rest) :]
    waiting.clear()


def plain_name(text: str) -> str:
    """Return the name of a file that a browser says, for people: a single part, of reasonable length."""
    last = re.split(r"[/\\]", text)[-1]
    shown = printable("".join(part for part in last if part.isprintable() or ord(part) > 0x2000)).strip()
    stem, dot, suffix = shown.rpartition(".")
    while len(os.fsencode(shown)) > _LONGEST_NAME and stem:
        stem = stem[:-1]
        shown = f"{stem}{dot}{suffix}"
    return "photo" if not shown.strip(".") or len(os.fsencode(shown)) > _LONGEST_NAME else Path(shown).name
