"""A spawned process that answers requests: a crash or a hang in it costs one request, never the service.

Requests and answers are JSON: what comes back from a process that decodes strangers' files is never unpickled.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, TypeAlias

from uncnn.daemon.sandbox.entering import enter
from uncnn.daemon.sandbox.protection import Protection
from uncnn.daemon.sandbox.rules import Sandbox
from uncnn.daemon.wording import printable, system_words
from uncnn.plugins.api import UncnnError

Message: TypeAlias = dict[str, Any]
Report: TypeAlias = Callable[[Message], None]
"""Tells of the progress of a long request."""

Handler: TypeAlias = Callable[[Message, Report], Message]
"""Answers one request, reporting its progress on the way."""


class RequestError(UncnnError):
    """The process answered with an error that a person can mend.

    `kind` is its class, `detail` what kind of that: of a PhotoError its own, of an OSError that of `system_words`.
    """

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        """Keep what went wrong and its class."""
        super().__init__(message)
        self.kind = kind
        self.detail = detail


class ProcessDied(UncnnError):
    """The process ended or was killed in the middle of a request."""


class Child:
    """One spawned process, that answers one request after another."""

    def __init__(
        self,
        name: str,
        make_handler: Callable[[], Handler],
        sandbox: Sandbox | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        """Spawn the process; `make_handler` is a module-level function that is called in it, inside the `sandbox`.

        `modules` are imported before that is entered: what Python compiles of them it can still write down.
        """
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads of a background service do not spin
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts none: Landlock would not hold for them
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.answered = False  # it has loaded what it works with by the first time
        self.protection: Protection | None = None  # what of its sandbox holds, once it has answered
        self._connection, theirs = context.Pipe()
        arguments = (theirs, make_handler, sandbox, tuple(modules))
        self._process = context.Process(target=serve, args=arguments, name=f"uncnn-{name}", daemon=True)
        with _without_interrupts():
            self._process.start()
        self._over = False  # once it was waited for, its number may be another's
        theirs.close()

    @property
    def pid(self) -> int | None:
        """Return the process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.is_alive()

    def call(self, request: Message, timeout_seconds: float, on_progress: Report | None = None) -> Message:
        """Return the answer to `request`.

        Raises:
            RequestError: the process refused it. ProcessDied: it ended, or it was killed at the deadline.
        """
        deadline = time.monotonic() + timeout_seconds
        try:
            self._connection.send_bytes(json.dumps(request).encode())
            while True:
                if not self._connection.poll(max(0.0, deadline - time.monotonic())):
                    self.kill()
                    raise ProcessDied(f"the {self.name} did not answer in {timeout_seconds:.0f} s and was stopped")
                answer: Message = json.loads(self._connection.recv_bytes())
                if "entered" in answer:
                    self.protection = Protection.of(answer["entered"])
                    continue
                if "progress" not in answer:
                    break
                if on_progress is not None:
                    on_progress(answer["progress"])
        except (EOFError, OSError) as error:
            self.kill()
            raise ProcessDied(f"the {self.name} ended unexpectedly ({self._ending()})") from error
        if "error" in answer:
            raise RequestError(**answer["error"])
        result: Message = answer["result"]
        self.answered = True
        return result

    def end_now(self) -> None:
        """Send SIGKILL, from any thread; who waits for an answer learns of it."""
        if self._process.pid is not None and not self._over:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process now."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join(5)
        self._over = True

    def close(self) -> None:
        """Let the process end: it does so when the connection closes."""
        self._connection.close()
        self._process.join(2)
        self.kill()

    def _ending(self) -> str:
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}; out of memory is the usual cause of SIGKILL"
        return f"exit status {code}"


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back from this thread, and from a process that it starts: a terminal sends it to both.

    What is spawned keeps it held back, and would otherwise end with a traceback before its first line.
    """
    resource_tracker.ensure_running()  # which lets it through again, once it has started its own process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """End as on Ctrl-C when the system asks: what is in work is given back, the processes end, the spool is emptied."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(
    connection: Connection,
    make_handler: Callable[[], Handler],
    sandbox: Sandbox | None = None,
    modules: Sequence[str] = (),
) -> None:
    """Answer requests until the other end closes: the body of a spawned process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when to stop

    def send(message: Message) -> None:
        connection.send_bytes(json.dumps(message).encode())

    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            for module in modules:
                importlib.import_module(module)
            if sandbox is not None:
                send({"entered": asdict(enter(sandbox))})
            handler = make_handler()
        except Exception as error:  # said in answer to the first request
            connection.recv_bytes()
            send(_error(error))
            return
        while True:
            request = json.loads(connection.recv_bytes())
            try:
                send({"result": handler(request, lambda progress: send({"progress": progress}))})
            except Exception as error:  # one job's failure must not end the process
                send(_error(error))


def _error(error: Exception) -> Message:
    kind, detail = type(error).__name__, str(getattr(error, "kind", ""))
    if isinstance(error, MemoryError):
        message = "not enough memory for this photo: close other programs, or make the photo smaller"
    elif isinstance(error, UncnnError):
        message = str(error)
    elif isinstance(error, OSError) and error.errno:
        kind, (detail, words) = "OSError", system_words(error)
        message = f"{printable(str(error.filename))}: {words}" if error.filename else words
    else:
        message = f"internal error, {kind}: {error}; please report it"
    return {"error": {"kind": kind, "message": message, "detail": detail}}
