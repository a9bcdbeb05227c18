"""A spawned process that answers requests: a crash or a hang in it costs one request, never the service.

Requests and answers are typed messages, see `uncnn.daemon.protect.wire`.
"""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from uncnn.daemon.protect.wire import (
    Ask,
    Handlers,
    Report,
    RequestError,
    Stage,
    answer,
    pack,
    pack_answer,
    unpack,
    unpack_answer,
)
from uncnn.daemon.sandbox.entering import enter
from uncnn.daemon.sandbox.protection import Protection
from uncnn.daemon.sandbox.rules import Sandbox
from uncnn.plugins.api import UncnnError

Answer = TypeVar("Answer")


class ProcessDied(UncnnError):
    """The process ended or was killed in the middle of a request."""


class Child:
    """One spawned process, that answers one request after another."""

    def __init__(
        self,
        name: str,
        make_handlers: Callable[[], Handlers],
        sandbox: Sandbox | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        """Spawn the process; `make_handlers` is a module-level function that is called in it, inside the `sandbox`.

        `modules` are imported before that is entered: what Python compiles of them it can still write down.
        """
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads of a background service do not spin
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts none: Landlock would not hold for them
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.answered = False  # it has loaded what it works with by the first time
        self.protection: Protection | None = None  # what of its sandbox holds, once it has answered
        self._posted = 0  # messages whose answers were not read yet
        self._connection, theirs = context.Pipe()
        arguments = (theirs, make_handlers, sandbox, tuple(modules))
        self._process = context.Process(target=serve, args=arguments, name=f"uncnn-{name}", daemon=True)
        with _without_interrupts():
            self._process.start()
        self._over = False  # once it was waited for, its number may be another's
        self._was_ended = False  # by `end_now`: it takes no request any more, though it may still be going
        theirs.close()

    @property
    def pid(self) -> int | None:
        """Return the process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether the process runs, and was not told to end."""
        return not self._was_ended and self._process.is_alive()

    def post(self, asked: Ask[Any]) -> None:
        """Send a message whose answer, or error, nobody needs; the next call waits until it is done with."""
        with suppress(OSError):  # it died: the next call says so
            self._connection.send_bytes(pack(asked))
            self._posted += 1

    def call(self, asked: Ask[Answer], timeout_seconds: float, report: Report | None = None) -> Answer:
        """Return the answer to a message.

        Raises:
            RequestError: the process refused it. ProcessDied: it ended, answered something else, or was killed at the
            deadline.
        """
        deadline = time.monotonic() + timeout_seconds
        try:
            self._connection.send_bytes(pack(asked))
            while True:
                if not self._connection.poll(max(0.0, deadline - time.monotonic())):
                    self.kill()
                    raise ProcessDied(f"the {self.name} did not answer in {timeout_seconds:.0f} s and was stopped")
                received = json.loads(self._connection.recv_bytes())
                if "entered" in received:
                    self.protection = Protection.of(received["entered"])
                    continue
                if "progress" in received:
                    if report is not None:
                        report(Stage(**received["progress"]))
                elif self._posted:
                    self._posted -= 1
                else:
                    break
        except (EOFError, OSError) as error:
            self.kill()
            raise ProcessDied(f"the {self.name} ended unexpectedly ({self._ending()})") from error
        if "error" in received:
            raise RequestError.read(received["error"])
        try:
            result = unpack_answer(asked, received["result"])
        except ValidationError as error:
            self.kill()
            raise ProcessDied(f"the {self.name} answered what is no answer and was stopped") from error
        self.answered = True
        return result

    def end_now(self) -> None:
        """Send SIGKILL, from any thread; who waits for an answer learns of it."""
        self._was_ended = True
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
    """End as on Ctrl-C when the system asks: what is in work is given back, the processes end, the spool is emptied.

    That is asked for once: `timeout` does it twice, and the second time must not cut short what the first one began.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(
    connection: Connection,
    make_handlers: Callable[[], Handlers],
    sandbox: Sandbox | None = None,
    modules: Sequence[str] = (),
) -> None:
    """Answer requests until the other end closes, then end the process: the body of a spawned one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when to stop
    gc.disable()  # what is imported and loaded stays: looking for garbage in it took a tenth of the time

    def send(message: dict[str, Any]) -> None:
        connection.send_bytes(json.dumps(message).encode())

    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            for module in modules:
                importlib.import_module(module)
            if sandbox is not None:
                send({"entered": asdict(enter(sandbox))})
            handlers = make_handlers()
        except Exception as error:  # said in answer to the first request
            connection.recv_bytes()
            send(_refused(error))
        else:
            gc.freeze()
            gc.enable()
            _answer_all(connection, handlers, send)
    with suppress(AttributeError, OSError, ValueError):  # there may be none
        sys.stdout.flush()  # what an attack printed
    os._exit(0)  # to take torch apart, module by module, takes most of a second


def _answer_all(connection: Connection, handlers: Handlers, send: Callable[[dict[str, Any]], None]) -> NoReturn:
    """Answer request after request. Raises EOFError, BrokenPipeError, ConnectionResetError: the other end closed."""
    while True:
        received = connection.recv_bytes()
        try:
            asked = unpack(handlers, received)
            answered = answer(handlers, asked, lambda stage: send({"progress": asdict(stage)}))
            send({"result": pack_answer(asked, answered)})
        except Exception as error:  # one job's failure must not end the process
            send(_refused(error))


def _refused(error: Exception) -> dict[str, Any]:
    return {"error": RequestError.of(error).values}
