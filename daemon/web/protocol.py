"""HTTP/1.1 in which nobody is waited for without end, neither for a head of a request nor to take an answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10.0
LONGEST_HEAD: Final = 16_384
"""Bytes of a request's line and headers together."""


SEND_SECONDS: Final = 60.0
"""A browser that takes nothing of an answer for so long is let go of."""


class TimedProtocol(H11Protocol):
    """A connection that is cut where a request's head does not come in time, or an answer is not taken."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take what uvicorn gives each connection."""
        super().__init__(*arguments, **named)
        self._head_deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; wait for the rest of a head, which is no longer waited for once it is whole."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._stop_sending()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait until some of an answer was taken, but not for ever."""
        super().pause_writing()
        self._stop_sending()
        self._send_deadline = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: some of it was taken."""
        self._stop_sending()
        super().resume_writing()

    def _wait_for_head(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
        self._head_deadline = None

    def _stop_sending(self) -> None:
        if self._send_deadline is not None:
            self._send_deadline.cancel()
        self._send_deadline = None
