"""That something the page shows is another by now, told from any thread to whoever listens."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress


class Changes:
    """A number that rises with every change: who knows it asks for what came after."""

    def __init__(self) -> None:
        """Nobody listens yet."""
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self.version = 0
        self.listeners = 0
        self.closed = False

    def opened(self) -> None:
        """Let those listen who run in the present loop."""
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()

    def tell(self) -> None:
        """Say, from any thread, that something changed."""
        with self._lock:
            self.version += 1
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Let all who listen go."""
        self.closed = True
        self.tell()

    async def after(self, version: int, patience_seconds: float) -> int:
        """Return the number once it is another than `version`, or when so much time has passed."""
        self.listeners += 1
        try:
            async with asyncio.timeout(patience_seconds):
                while self.version == version and not self.closed and self._changed is not None:
                    await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            self.listeners -= 1
        return self.version

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        if changed is not None:
            changed.set()
