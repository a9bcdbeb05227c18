"""How a connection by https:// begins: one request of HTTP/1.1 (RFC 9110, 7.8) turns it into frames both ways.

It is HTTP so that it passes what passes HTTP; a client says `Upgrade: uncnn` and its token, and is answered 101.
"""

from __future__ import annotations

import asyncio
import http.client
import io
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from typing import Final

PROTOCOL: Final = "uncnn"
PATH: Final = "/faces"
MOST_HEAD: Final = 8192
PIECE: Final = 1 << 16
CLOSE_SECONDS: Final = 5.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NoHead(Exception):
    """The other side sends no head of HTTP."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request or of an answer."""

    first: tuple[str, str, str]  # the three words of its first line; the last one may hold spaces
    fields: Message

    def has(self, name: str, word: str) -> bool:
        """Return whether a field holds this word, in whatever case."""
        return word in (each.strip().lower() for each in self.fields.get(name, "").split(","))


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Return the head that comes next. Raises NoHead: it is none, too long, or the other side ended."""
    try:
        read = await reader.readuntil(b"\r\n\r\n")
        line, _, rest = read.partition(b"\r\n")
        words = line.decode("ascii").split(" ", 2)
        fields = http.client.parse_headers(io.BytesIO(rest))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, http.client.HTTPException) as error:
        raise NoHead("it does not speak HTTP as uncnn does") from error
    if len(words) < 3:
        raise NoHead("it does not speak HTTP as uncnn does")
    return Head((words[0], words[1], words[2]), fields)


async def relay(one: Streams, other: Streams) -> None:
    """Hand on what each side sends to the other one, until either ends; then both are closed, and told the rest."""
    copies = [asyncio.ensure_future(_copy(one[0], other[1])), asyncio.ensure_future(_copy(other[0], one[1]))]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)
        await close(one[1], other[1])


async def close(*writers: asyncio.StreamWriter) -> None:
    """Close these, and wait a while until all that was written has gone out."""
    for writer in writers:
        writer.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
