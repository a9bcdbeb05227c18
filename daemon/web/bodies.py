"""What a browser sends with a request, taken piece by piece, as long as it is not too much and not too slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from uncnn.daemon.web.doors import LONGEST_BODY, Refusal

PIECE_SECONDS: Final = 20.0
"""Between two pieces of a body."""

GRACE_SECONDS: Final = 20.0
LEAST_BYTES_A_SECOND: Final = 16_384
"""How slowly a body may come once the grace is over: a photo of 5 MB has 5 minutes."""

_MOST_FIELDS: Final = 300


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep why, by the name of the words for it."""
        super().__init__(reason)
        self.refusal = Refusal(status, reason)


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body of a request as it comes. Raises Refused: it is larger than `limit` bytes, or comes too slowly.

    Raises starlette.requests.ClientDisconnect: the browser went.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > limit:
        raise Refused(413, "size")
    stream, size, began = request.stream(), 0, time.monotonic()
    while True:
        left = began + GRACE_SECONDS + size / LEAST_BYTES_A_SECOND - time.monotonic()
        try:
            async with asyncio.timeout(max(min(left, PIECE_SECONDS), 0.001)):
                piece = await anext(stream, None)
        except TimeoutError as error:
            raise Refused(408, "slow") from error
        if piece is None:
            return
        size += len(piece)
        if size > limit:
            raise Refused(413, "size")
        if piece:
            yield piece


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises Refused: it is none, too large, or comes too slowly."""
    kind = request.headers.get("content-type", "application/x-www-form-urlencoded").partition(";")[0].strip()
    body = b"".join([piece async for piece in pieces(request, LONGEST_BODY)])
    if kind != "application/x-www-form-urlencoded":
        raise Refused(415, "body")
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise Refused(400, "body") from error
