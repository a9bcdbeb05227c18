"""The command's side: the running service as an engine, and processes of the command's own where it cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from uncnn.daemon.control.address import connected
from uncnn.daemon.control.channel import Channel, ChannelError, close_all
from uncnn.daemon.control.contents import kept_results, opened_photos
from uncnn.daemon.control.messages import Footing, Join, NameModels, Start, Started
from uncnn.daemon.protect.engine import LoadedEngine
from uncnn.daemon.protect.messages import Change, Changed, Look, Looked
from uncnn.daemon.protect.process_engine import JOB_SECONDS, PREPARE_SECONDS
from uncnn.daemon.protect.wire import Ask, Report, RequestError, Stage, pack, silent, unpack_answer
from uncnn.daemon.sandbox.protection import Protection
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import UncnnError

Answer = TypeVar("Answer")

JOIN_SECONDS: Final = 5.0
"""A service that does not answer by then is stopped or hangs: it is not waited for."""

ANSWER_SECONDS: Final = 2 * (PREPARE_SECONDS + JOB_SECONDS)
"""Another's call comes first, and models may have to be loaded for both."""


class ServiceLost(UncnnError):
    """There is no service that can be used, or no longer."""


class ServiceEngine:
    """The two processes of the running service, asked over its control socket. All calls raise ServiceLost."""

    def __init__(self, channel: Channel) -> None:
        """Take over a connection."""
        self._channel = channel
        self._loaded: Started | None = None

    @classmethod
    def reached(cls) -> ServiceEngine:
        """Return the service of this state folder, whatever it works with. Raises ServiceLost: there is none."""
        try:
            return cls(Channel(connected()))
        except (UncnnError, OSError) as error:
            raise ServiceLost(f"no service can be reached: {error}") from error

    @classmethod
    def joined(cls, footing: Footing) -> ServiceEngine:
        """Return the service of this state folder. Raises ServiceLost: there is none that works on this footing."""
        engine = cls.reached()
        try:
            engine._ask(Join(footing), silent, JOIN_SECONDS)
        except BaseException:
            engine.close()
            raise
        return engine

    @cached_property
    def roster(self) -> Roster:
        """Return the models. Raises RequestError: one is missing or broken."""
        return self._ask(NameModels())

    @property
    def protection(self) -> Protection:
        """Return what of the sandbox holds in the service's processes, once it has said so."""
        return self._loaded.protection if self._loaded is not None else Protection(missing=("not entered",))

    @property
    def started(self) -> bool:
        """Return whether the models are known to be loaded."""
        return self._loaded is not None

    def start(self) -> str:
        """Have the models loaded, and return the device. Raises RequestError: one is missing or broken."""
        self._loaded = self._ask(Start())
        return self._loaded.device

    def look(self, asked: Look) -> Looked:
        """Return what the worker sees in a photo. Raises RequestError."""
        return self._ask(asked)

    def change(self, asked: Change, report: Report) -> Changed:
        """Return what the worker makes of a photo. Raises RequestError."""
        return self._ask(asked, report)

    def judge(self, asked: Ask[Answer]) -> Answer:
        """Return what the verifier says, of an original or of a copy. Raises RequestError."""
        return self._ask(asked)

    def end(self) -> None:
        """Let whoever waits for an answer have ServiceLost instead, from any thread."""
        self._channel.end()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _ask(self, asked: Ask[Answer], report: Report = silent, patience_seconds: float = ANSWER_SECONDS) -> Answer:
        files: list[int] = []
        try:
            sent, photos = opened_photos(asked, files)
            self._channel.send(pack(sent), files)
        except (ChannelError, OSError) as error:
            raise ServiceLost(str(error)) from error
        finally:
            close_all(files)
        try:
            received, made = self._answer(report, patience_seconds)
            try:
                return kept_results(unpack_answer(asked, received), made, photos)
            finally:
                close_all(made)
        except RequestError:
            raise
        except (UncnnError, EOFError, OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise ServiceLost(str(error) or "the service ended") from error

    def _answer(self, report: Report, patience_seconds: float) -> tuple[Any, list[int]]:
        """Return the answer and its files. Raises RequestError: the service's process refused the message."""
        while True:
            document, files = self._channel.receive(patience_seconds)
            received = json.loads(document)
            if "result" in received:
                return received["result"], files
            close_all(files)
            if "error" in received:
                raise RequestError.read(received["error"])
            if "refused" in received:
                raise ServiceLost(str(received["refused"]))
            report(Stage(**received["progress"]))


def ask_service(asked: Ask[Answer], patience_seconds: float) -> Answer:
    """Return the running service's answer to what is no matter of photos. Raises ServiceLost."""
    with closing(ServiceEngine.reached()) as service:
        return service._ask(asked, silent, patience_seconds)


class EitherEngine:
    """The running service's engine as long as it answers, then for good the command's `own`."""

    def __init__(self, service: ServiceEngine | None, own: LoadedEngine) -> None:
        """Begin with the service where there is one."""
        self._service = service
        self._own = own
        self._ended = False

    @property
    def whose(self) -> str:
        """Return whose processes are asked, for a person."""
        return "the running service" if self._service is not None else "this command"

    @property
    def roster(self) -> Roster:
        """Return the models. Raises RequestError, ProcessDied."""
        return self._asked(lambda engine: engine.roster)

    @property
    def protection(self) -> Protection:
        """Return what of the sandbox holds in the processes, once they have started."""
        return (self._service or self._own).protection

    @property
    def started(self) -> bool:
        """Return whether the models are loaded."""
        return (self._service or self._own).started

    def start(self) -> str:
        """Load the models, and return the device. Raises RequestError, ProcessDied."""
        return self._asked(lambda engine: engine.start())

    def look(self, asked: Look) -> Looked:
        """Return what the worker sees in a photo. Raises RequestError, ProcessDied."""
        return self._asked(lambda engine: engine.look(asked))

    def change(self, asked: Change, report: Report) -> Changed:
        """Return what the worker makes of a photo. Raises RequestError, ProcessDied, UncnnError."""
        return self._asked(lambda engine: engine.change(asked, report))

    def judge(self, asked: Ask[Answer]) -> Answer:
        """Return what the verifier says, of an original or of a copy. Raises RequestError, ProcessDied."""
        return self._asked(lambda engine: engine.judge(asked))

    def end(self) -> None:
        """Let whoever waits for the service have ServiceLost instead, from any thread; it is asked nothing more."""
        self._ended = True
        service = self._service
        if service is not None:
            service.end()

    def close(self) -> None:
        """Be done with the service; the command's own processes are ended by whoever made them."""
        if self._service is not None:
            self._service.close()
        self._service = None

    def _asked(self, call: Callable[[LoadedEngine], Answer]) -> Answer:
        if self._service is not None:
            try:
                return call(self._service)
            except ServiceLost:
                if self._ended:
                    raise
                self.close()
        return call(self._own)


@contextmanager
def served(footing: Footing | None, own: LoadedEngine) -> Iterator[EitherEngine]:
    """Yield the running service's engine where one works on this footing, otherwise the command's `own`.

    None: no service is asked.
    """
    try:
        service = None if footing is None else ServiceEngine.joined(footing)
    except ServiceLost:
        service = None
    engine = EitherEngine(service, own)
    try:
        yield engine
    finally:
        engine.close()
