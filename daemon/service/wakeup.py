"""What wakes the loop: signals, other threads, and time. A pipe, since a lock in a signal handler may never be free."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

ASKED: Final = {
    signal.SIGTERM: "stop",
    signal.SIGINT: "stop",
    signal.SIGHUP: "reload",
    signal.SIGUSR1: "scan",
}
"""What each signal asks of the service."""

_early: set[str] = set()


def catch_early(once: bool = False) -> None:
    """Take the service's signals from now on, before all else is imported: by themselves they would end the process.

    A run that works `once` has nothing to read again: SIGHUP ends it, as it does when its terminal is closed.
    """
    for number in (signal.SIGUSR1,) if once else (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: _early.add(ASKED[signal.Signals(number)]))


class Wakeup:
    """Waits until rung, or until it is time. Use it on the main thread."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._asked: set[str] = set()

    def ring(self) -> None:
        """Wake who waits; any thread and any signal handler may."""
        with suppress(BlockingIOError):  # it is full: whoever waits will wake
            os.write(self._writer, b".")

    def ask(self, what: str) -> None:
        """Ask for something as a signal does; any thread may."""
        self._asked.add(what)
        self.ring()

    def wait(self, seconds: float) -> None:
        """Return when rung, or after so many seconds."""
        if select.select([self._reader], [], [], max(seconds, 0.0))[0]:
            with suppress(BlockingIOError):
                os.read(self._reader, 65536)

    def asked(self) -> set[str]:
        """Return what was asked for since the last call: stop, reload, scan."""
        taken = set(self._asked) | set(_early)
        self._asked -= taken
        _early.difference_update(taken)
        return taken

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals inside the block."""

        def hear(number: int, _frame: FrameType | None) -> None:
            self._asked.add(ASKED[signal.Signals(number)])
            self.ring()

        before = {number: signal.signal(number, hear) for number in ASKED}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def __del__(self) -> None:
        """Close the pipe once nobody can ring any more: a thread may, that did not end in time."""
        os.close(self._reader)
        os.close(self._writer)
