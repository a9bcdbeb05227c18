"""Sending frames on in a thread of its own: while one is encoded the next one is looked at."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from uncnn.daemon.live.sinks import Sink
from uncnn.plugins.api import Pixels


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame whose faces are hidden."""

    pixels: Pixels
    stamp: float  # seconds
    sent: Callable[[], None]  # is called when it is gone


@dataclass(slots=True)
class Sender:
    """Sends frames on in their order, one behind whoever gives them. Use `close` at the end."""

    sink: Sink
    _waiting: queue.Queue[Outgoing | None] = field(default_factory=lambda: queue.Queue(1))
    _error: Exception | None = None
    _thread: threading.Thread | None = None

    def send(self, frame: Outgoing) -> None:
        """Take a frame, once the one before it is taken up. Raises what the sink raised on an earlier one."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
            self._thread.start()
        if self._error is not None:
            raise self._error
        self._waiting.put(frame)

    def close(self) -> None:
        """Wait until all frames are gone. Raises what the sink raised."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (frame := self._waiting.get()) is not None:
            if self._error is not None:
                continue  # what is given is taken, or whoever gives it would wait for ever
            try:
                self.sink.send(frame.pixels, frame.stamp)
                frame.sent()
            except Exception as error:  # raised where frames come from
                self._error = error
