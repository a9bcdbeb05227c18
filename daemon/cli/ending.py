"""How every command ends: with its exit status, and at most one line of what went wrong. Never with a traceback.

Ctrl-C ends a command as the signal itself would, after what it had begun was given back; a second one, a second later,
at once. A kill is safe at any instant, so nothing here has to be.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

from uncnn.daemon import output
from uncnn.daemon.cli.streams import steady_streams
from uncnn.daemon.output import ERROR, INTERRUPTED, OK
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError
from uncnn.plugins.extras import REMEDIES, missing_words

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SAME_PRESS_SECONDS: Final = 1.0
"""A key press reaches a program twice where another one that started it hands it on."""


class Interrupts:
    """Ctrl-C during a command."""

    def __init__(self) -> None:
        self.first: float | None = None  # monotonic, of the first one

    def listen(self) -> None:
        """Raise KeyboardInterrupt on SIGINT from now on, unless it is ignored as that of a background job is."""
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._hear)
        sys.unraisablehook = self._raise_again

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = now
            raise KeyboardInterrupt
        if now - self.first > _SAME_PRESS_SECONDS:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a progress bar hides the cursor
            die_of(signal.SIGINT)

    def _raise_again(self, unraisable: UnraisableHookArgs) -> None:
        """Ask again for the end where Python could not raise it, as in a destructor; other faults there are harmless.

        The exit status of SystemExit says which signal asked (processes.stopped_by_sigterm).
        """
        number = signal.SIGTERM if unraisable.exc_type is SystemExit else signal.SIGINT
        if unraisable.exc_type in (KeyboardInterrupt, SystemExit):
            self.first = None
            threading.Timer(0.05, os.kill, (os.getpid(), number)).start()


def end(command: Callable[[Interrupts], None]) -> NoReturn:
    """Run a command and end the process as it asks for, with `SystemExit` or an error."""
    output, interrupts = steady_streams(), Interrupts()
    status = _status_of(command, interrupts)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is done: there is nothing to give back
    sys.stdout.flush()
    if output.lost is not None and output.lost.errno != errno.EPIPE:  # a reader that had enough is no error
        sys.stderr.write(f"uncnn-daemon: the output cannot be written: {system_words(output.lost)[1]}\n")
        status = ERROR
    sys.stderr.flush()
    if status == INTERRUPTED:
        die_of(signal.SIGINT)
    raise SystemExit(status)


def die_of(number: signal.Signals) -> None:
    """End by a signal, so that a shell's loop ends with it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _status_of(command: Callable[[Interrupts], None], interrupts: Interrupts) -> int:
    """Return the exit status of a command, having said what went wrong."""
    try:
        command(interrupts)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if interrupts.first is not None:  # what a library makes of an interrupt in the middle of its import
            return INTERRUPTED
        sys.stderr.write(f"uncnn-daemon: {_words(error)}\n")
        return int(getattr(error, "exit_status", ERROR))
    return OK


def _words(error: Exception) -> str:
    """Return in a line what happened; `output.talkative` shows all of what no command foresaw besides."""
    if isinstance(error, UncnnError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in REMEDIES:
        return missing_words([error.name])
    if output.talkative:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno:
        words = system_words(error)[1]
        return f"{printable(str(error.filename))}: {words}" if error.filename else words
    if isinstance(error, MemoryError):
        return "not enough memory: close other programs"
    said = printable(str(error))
    return f"internal error, {type(error).__name__}: {said}; please report it with the output of --verbose"
