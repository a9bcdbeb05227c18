"""What commands ask of the service's loop at the control socket, and wait for: a reload, a scan."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, Final

from uncnn.daemon.control.messages import FolderScan, Reloaded, Scanned
from uncnn.daemon.service.wakeup import Wakeup
from uncnn.plugins.api import UncnnError

RELOAD_SECONDS: Final = 30.0
SCAN_SECONDS: Final = 120.0
"""A command waits so long at most: the loop reads a file, or lists folders, which may be large or on a slow disk."""


class LoopRequests:
    """Requests of any thread that the loop answers, in its own time."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, Future[Any]]] = []

    def reload(self) -> Reloaded:
        """Have the configuration read again. Raises UncnnError: that takes too long."""
        problem: str = self._asked("reload", RELOAD_SECONDS, "reload its configuration")
        return Reloaded(problem)

    def scan(self) -> Scanned:
        """Have all folders looked at. Raises UncnnError: that takes too long."""
        folders: list[FolderScan] = self._asked("scan", SCAN_SECONDS, "scan its folders")
        return Scanned(tuple(folders))

    def taken(self, what: str) -> list[Future[Any]]:
        """Return the requests of a kind, for the loop to answer."""
        with self._lock:
            taken = [future for kind, future in self._waiting if kind == what]
            self._waiting = [each for each in self._waiting if each[0] != what]
        return taken

    def _asked(self, what: str, seconds: float, words: str) -> Any:
        future = Future[Any]()
        with self._lock:
            self._waiting.append((what, future))  # before it is asked for: then it is heard at the end of that
        self._wakeup.ask(what)
        try:
            return future.result(seconds)
        except TimeoutError as error:
            raise UncnnError(
                f"the service did not {words} in {seconds:.0f} s: uncnn-daemon status shows why"
            ) from error
