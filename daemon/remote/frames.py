"""Frames between a client and a server: what is said, as JSON, and bytes beside it; both with a limit and a deadline.

A frame is two lengths of four bytes each, most significant first, then so many bytes of JSON and of content.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from dataclasses import dataclass
from typing import Any, Final

from uncnn.plugins.api import UncnnError

MOST_SAID: Final = 1 << 20
MOST_CONTENT: Final = 256 << 20
_LENGTHS: Final = struct.Struct(">II")
_PIECE: Final = 1 << 20


class FrameError(UncnnError):
    """The other side ended, sends what is no frame, or does not go on in time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    said: dict[str, Any]
    content: bytes = b""

    def packed(self) -> bytes:
        """Return the frame as it is sent."""
        said = json.dumps(self.said).encode()
        return b"".join((_LENGTHS.pack(len(said), len(self.content)), said, self.content))


def send(descriptor: int, frame: Frame, seconds: float | None = None) -> None:
    """Write a frame to a pipe. Raises FrameError: the other side ended, or takes nothing for so many `seconds`."""
    left = memoryview(frame.packed())
    while left:
        _, ready, _ = select.select([], [descriptor], [], seconds)
        if not ready:
            raise FrameError(f"it takes nothing for {seconds:.0f} s")
        try:
            left = left[os.write(descriptor, left[: select.PIPE_BUF]) :]
        except OSError as error:
            raise FrameError("it ended") from error


def receive(descriptor: int, seconds: float | None = None) -> Frame | None:
    """Return the next frame of a pipe; None: the other side ended where a frame would begin.

    Raises:
        FrameError: it is none, or nothing came for so many `seconds`.
    """
    head = _read(descriptor, _LENGTHS.size, seconds, may_end=True)
    if not head:
        return None
    said_length, content_length = _LENGTHS.unpack(head)
    if said_length > MOST_SAID or content_length > MOST_CONTENT:
        raise FrameError("it sends what is no frame of uncnn's")
    said = _read(descriptor, said_length, seconds)
    content = _read(descriptor, content_length, seconds)
    try:
        read = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise FrameError("it sends what is no frame of uncnn's") from error
    if not isinstance(read, dict):
        raise FrameError("it sends what is no frame of uncnn's")
    return Frame(read, content)


def _read(descriptor: int, length: int, seconds: float | None, may_end: bool = False) -> bytes:
    """Return so many bytes, or none where it may end and does."""
    pieces: list[bytes] = []
    missing = length
    deadline = None if seconds is None else time.monotonic() + seconds + length / _PIECE
    while missing:
        rest = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([descriptor], [], [], rest)
        if not ready:
            raise FrameError(f"it sends nothing for {seconds:.0f} s")
        try:
            piece = os.read(descriptor, min(missing, _PIECE))
        except OSError as error:
            raise FrameError("it ended") from error
        if not piece:
            if may_end and missing == length:
                return b""
            raise FrameError("it ended in the middle of a frame")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
