"""A picture of a photo as an answer, whoever's photo it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.messages import Box
from uncnn.daemon.web.previews import SIZES, Picture
from uncnn.daemon.web.site import site_of
from uncnn.plugins.api import UncnnError


async def send_picture(request: Request, key: str, name: str, put: Callable[[Path], None]) -> Response:
    """Answer with the picture `key` of a photo in the size that the request names; `put` copies the photo.

    Raises Refused: there is no such size, or no picture can be made of it.
    """
    picture = await made_picture(request, key, request.path_params["size"], name, put)
    return FileResponse(picture.file, media_type="image/jpeg")


async def made_picture(
    request: Request, key: str, size: str, name: str, put: Callable[[Path], None], box: Box | None = None
) -> Picture:
    """Return a picture of a photo, or of the face in that `box`.

    Raises Refused: there is no such size, or no picture can be made of it.
    """
    if size not in SIZES:
        raise Refused(404, "path")
    previews, loop = site_of(request).previews, asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(previews.thread, previews.of, key, size, name, put, box)
    except RequestError as error:
        raise Refused(422, "picture") from error
    except (UncnnError, OSError) as error:
        raise Refused(503, "picture") from error
