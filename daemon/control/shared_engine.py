"""The service's two processes, used in turn by its worker thread and the commands at the control socket, call by call.

What the processes remember of a photo they know by its sha256, so that calls for several photos may alternate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from uncnn.daemon.config import Config
from uncnn.daemon.control.messages import Footing
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.protect.messages import Change, Changed, Look, Looked
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.processes import ProcessDied
from uncnn.daemon.protect.wire import Ask, Report
from uncnn.daemon.sandbox.protection import Protection
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

Answer = TypeVar("Answer")


class EngineUnavailable(UncnnError):
    """A command cannot use the service's processes: they are of other settings, or the service begins or ends."""


class Turns:
    """A lock that is given in the order in which it was asked for."""

    def __init__(self) -> None:
        """Nobody has it."""
        self._changed = threading.Condition()
        self._next = self._present = 0

    @property
    def waiting(self) -> int:
        """Return how many wait for it."""
        with self._changed:
            return max(self._next - self._present - 1, 0)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold it inside the block, once all who asked before have had it."""
        with self._changed:
            own, self._next = self._next, self._next + 1
            self._changed.wait_for(lambda: self._present == own)
        try:
            yield
        finally:
            with self._changed:
                self._present += 1
                self._changed.notify_all()


class SharedEngine:
    """An engine for the worker thread, which has it made and ended, and that commands borrow for a call each.

    The worker thread's call is made once more where a process died that a command had used since its last one.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        make: Callable[[Config, Path], ProcessEngine],
        loaded: Callable[[str, ProcessEngine], None],
    ) -> None:
        """Nothing is started yet.

        `config` returns the present configuration, `make` makes the processes for one that see a spool, `loaded` hears
        of it when they have loaded their models.
        """
        self._config = config
        self._make = make
        self._loaded = loaded
        self._turns = Turns()
        self._engine: ProcessEngine | None = None
        self._footing: Footing | None = None  # of the engine
        self._made_for: tuple[object, ...] = ()  # what of the configuration it was made for
        self._device = ""
        self._spool: Path | None = None
        self._looks = 0  # at photos, since the engine was made
        self._at_photo = False  # of the worker thread: until it is done the engine stays the same
        self._was_lent = False  # since the worker thread's last call
        self._canaries: tuple[CanaryAnswers, ...] = ()
        self._ending = False
        self._waits = False
        self._waited = 0.0

    @contextmanager
    def opened(self, spool: Path) -> Iterator[None]:
        """Let it be used inside the block, with this folder for the photos; then the processes are ended."""
        self._spool = spool
        try:
            yield
        finally:
            self._spool = None
            self.close()

    def close(self) -> None:
        """End the processes; the next call starts them anew."""
        with self._turn():
            self._end()

    def kill(self) -> None:
        """End the processes now, from any thread, and lend them no more: the service ends."""
        self._ending = True
        engine = self._engine
        if engine is not None:
            engine.kill()

    @contextmanager
    def at_photo(self) -> Iterator[None]:
        """Work by the present configuration inside the block: the worker thread takes one photo down its path."""
        self._waited = 0.0
        with self._turn():
            self._go_by(self._config())
            self._at_photo = True
        try:
            yield
        finally:
            with self._turn():
                self._at_photo = False
                if self._engine is not None:
                    self._engine.hear_canaries()
                self._note_canaries()
                if self._looks >= self._config().service.recycle_after:
                    self._end()

    def waited(self) -> float | None:
        """Return how many seconds the worker thread waited for commands at this photo; None: at present it does."""
        return None if self._waits else self._waited

    @property
    def canaries(self) -> tuple[CanaryAnswers, ...]:
        """Return what the models said of known pictures, as it was after the worker thread's last photo."""
        return self._canaries

    @property
    def servers_seen(self) -> tuple[ServerState, ...]:
        """Return how it stands with the servers that change faces; none are known while there are no processes."""
        engine = self._engine
        return () if engine is None else engine.servers_seen

    @property
    def started(self) -> bool:
        """Return whether the models are loaded."""
        engine = self._engine
        return engine is not None and engine.started

    @property
    def protection(self) -> Protection:
        """Return what of the sandbox holds in the processes, once they have started."""
        return self._own(lambda engine: engine.protection)

    @property
    def roster(self) -> Roster:
        """Return the models. Raises RequestError: one is missing or broken. ProcessDied."""
        return self._own(lambda engine: engine.roster)

    def start(self) -> str:
        """Load the models, and return the device. Raises RequestError: one is missing or broken. ProcessDied."""
        return self._own(self.load)

    def look(self, asked: Look) -> Looked:
        """Return what the worker sees in a photo. Raises RequestError, ProcessDied."""
        self._looks += 1
        return self._own(lambda engine: engine.look(asked))

    def change(self, asked: Change, report: Report) -> Changed:
        """Return what the worker makes of a photo. Raises RequestError, ProcessDied, UncnnError: another file."""
        return self._own(lambda engine: engine.change(asked, report))

    def judge(self, asked: Ask[Answer]) -> Answer:
        """Return what the verifier says, of an original or of a copy. Raises RequestError, ProcessDied."""
        return self._own(lambda engine: engine.judge(asked))

    def load(self, engine: ProcessEngine) -> str:
        """Load the models of the engine whose turn it is, where they are not loaded, and return the device."""
        if not engine.started:
            try:
                self._device = engine.start()
            finally:
                self._note_canaries()
            self._loaded(self._device, engine)
        return self._device

    def spool_for(self, footing: Footing) -> Path:
        """Return where a command's photos are put. Raises EngineUnavailable: its footing is another. FolderError."""
        config, spool = self._config(), self._spool
        if footing != Footing.of(config.models, config.device, data_dir()):
            raise EngineUnavailable("the service works with other settings, models or another version of uncnn")
        if spool is None or self._ending:
            raise EngineUnavailable("the service is starting or ending")
        return spool

    @contextmanager
    def lent(self, footing: Footing, new_photo: bool = False) -> Iterator[ProcessEngine]:
        """Give a command the engine for one call. Raises EngineUnavailable: its footing is another. FolderError."""
        with self._turns.taken():
            self.spool_for(footing)
            if not self._at_photo:
                self._go_by(self._config())
            if footing != self._footing or self._engine is None:
                raise EngineUnavailable("the service is at a photo under its settings of before")
            self._was_lent = True
            self._looks += new_photo
            try:
                yield self._engine
            except UncnnError:
                if not self._engine.started and not self._at_photo:
                    self._end()  # what the models were then is not kept for the next one
                raise

    def _own(self, call: Callable[[ProcessEngine], Answer]) -> Answer:
        with self._turn():
            assert self._engine is not None  # `at_photo`
            was_lent, self._was_lent = self._was_lent, False
            try:
                return call(self._engine)
            except ProcessDied:
                if not was_lent or self._ending:
                    raise
            return call(self._engine)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the engine for the worker thread, and count how long it waited."""
        began, self._waits = time.monotonic(), True
        with self._turns.taken():
            self._waited += time.monotonic() - began
            self._waits = False
            yield

    def _go_by(self, config: Config) -> None:
        """See that there is an engine for this configuration and the present spool."""
        service = config.service
        wanted = (config.models, config.device, service.deadline_seconds, config.servers)
        if self._engine is not None and (self._made_for != wanted or self._looks >= service.recycle_after):
            self._end()
        if self._engine is None:
            if self._spool is None:
                raise EngineUnavailable("the service is starting or ending")
            self._engine, self._made_for = self._make(config, self._spool), wanted
            self._footing = Footing.of(config.models, config.device, data_dir())

    def _note_canaries(self) -> None:
        if self._engine is not None and self._engine.canaries:
            self._canaries = self._engine.canaries

    def _end(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine, self._footing, self._looks = None, None, 0
