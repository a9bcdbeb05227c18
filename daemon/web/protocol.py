"""HTTP/1.1 whose requests must be whole in time: uvicorn's protocol waits for a request line for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10.0
LONGEST_HEAD: Final = 16_384
"""Bytes of a request's line and headers together."""


class TimedProtocol(H11Protocol):
    """A connection that is closed where a request's line and headers do not come in time."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take what uvicorn gives each connection."""
        super().__init__(*arguments, **named)
        self._head_deadline: asyncio.TimerHandle | None = None

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
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
        self._head_deadline = None
