"""An engine that has faces changed on another machine: all that decides is done here, and so is what no server does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from uncnn.daemon.config import Models
from uncnn.daemon.config.servers import Address
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Change, Changed, Look, Looked, MakeMask
from uncnn.daemon.protect.process_engine import JOB_SECONDS, ProcessEngine
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.protect.wire import Handlers, Report, RequestError, Stage
from uncnn.daemon.remote.frames import Frame
from uncnn.daemon.remote.hello import Hello
from uncnn.daemon.remote.messages import FACES, PATCHES, FacesToSend, NextFaces, TakePatches
from uncnn.daemon.remote.servers import Servers, ServersUnavailable
from uncnn.exporters.registry import store
from uncnn.plugins.recognisers.sessions import Thrift
from uncnn.plugins.registry import asks_for_people


def engine_for(
    models: Models, device: str, data: Path, spool: Path, servers: Sequence[str], job_seconds: float = JOB_SECONDS
) -> ProcessEngine:
    """Return an engine that has the servers at these addresses change faces; without any, one that does it itself.

    Raises AddressError.
    """
    addresses = [Address.parse(text) for text in servers]
    if not addresses:
        return ProcessEngine(models, device, data, spool, job_seconds)
    return RemoteEngine(models, device, data, spool, addresses, job_seconds)


class RemoteEngine(ProcessEngine):
    """A worker without torch and a verifier here, and servers that change faces. Use it in a `with` block."""

    def __init__(
        self,
        models: Models,
        device: str,
        data: Path,
        spool: Path,
        addresses: Sequence[Address],
        job_seconds: float = JOB_SECONDS,
    ) -> None:
        """Nothing is started yet, and nobody asked."""
        super().__init__(models, device, data, spool, job_seconds)
        self._addresses = addresses
        self._known: Servers | None = None
        self._complete_worker: Child | None = None  # with torch: started where no server does what is asked

    @property
    def servers(self) -> Servers:
        """Return the servers. Raises RequestError: a model is missing or broken."""
        if self._known is None:
            surrogates = tuple((model.card.name, model.card.sha256) for model in self.roster.surrogates)
            self._known = Servers(self._addresses, Hello(surrogates=surrogates), self._data)
        return self._known

    @property
    def worker(self) -> Child:
        """Return the running worker without torch."""
        if self._worker is None or not self._worker.alive:
            make = partial(_make_thin_worker, self.roster)
            modules = ["uncnn.daemon.remote.thin_worker"]
            self._worker = Child("worker", make, self._sandbox(self.roster), modules)
        return self._worker

    @property
    def complete_worker(self) -> Child:
        """Return the running worker with torch. Raises RequestError: there is no torch."""
        if self._complete_worker is None or not self._complete_worker.alive:
            self._complete_worker = self.new_worker()
        return self._complete_worker

    def start(self) -> str:
        """Start both processes while the servers load their models; return where faces are changed.

        Raises:
            RequestError: a model is missing or broken. ProcessDied: a process ended.
        """
        self.servers.connect()
        super().start()
        return ", ".join(address.text for address in self._addresses)

    def new_verifier(self, roster: store.Roster) -> Child:
        """Return a new process that asks these models; the caller closes it."""
        return self._verifier_by(_make_thrifty_verifier, roster)

    @property
    def servers_seen(self) -> tuple[ServerState, ...]:
        """Return how it stands with the servers."""
        if self._known is None:
            return tuple(ServerState(address.text) for address in self._addresses)
        return self._known.seen

    def look(self, asked: Look) -> Looked:
        """Return what the worker sees in a photo. Raises RequestError, ProcessDied.

        The verifier looks at it later: both at once would take the memory of both.
        """
        return self._ask(self.worker, asked)

    def change(self, asked: Change, report: Report) -> Changed:
        """Return a photo with its faces changed, by a server or else here.

        Raises RequestError, ProcessDied, UncnnError: another file.
        """
        if asks_for_people(asked.attack.parameters):  # whose embeddings no server is given
            return self._changed_by(self.complete_worker, asked, report)
        try:
            self._have_changed(asked, report)
        except ServersUnavailable as error:
            try:
                changed = self._changed_by(self.complete_worker, asked, report)
            except RequestError as other:
                raise RequestError(f"{other}; {error}", other.fault, other.kind) from other
            return replace(changed, notes=(*changed.notes, f"changed on this computer: {error}"))
        finally:
            self._remove_files(asked)
        return super().change(asked, report)

    def mask(self, asked: MakeMask, report: Report) -> Content:
        """Return a mask that is made here. Raises RequestError, ProcessDied, UncnnError: another file."""
        return self._mask_by(self.complete_worker, asked, report)

    def _have_changed(self, asked: Change, report: Report) -> None:
        """Have servers change the faces of a photo, batch by batch.

        Raises RequestError, ProcessDied, ServersUnavailable, UncnnError: another file.
        """
        alone = False
        while isinstance(found := self._ask(self.worker, NextFaces(asked, alone), report), FacesToSend):
            asked.photo.check_beside(FACES, found.packed)
            try:
                self._have_batch_changed(asked, found, report)
            except ServersUnavailable:
                if found.alone:
                    raise
                alone = True  # whichever photo of the batch it was: each has its own turn

    def _have_batch_changed(self, asked: Change, found: FacesToSend, report: Report) -> None:
        def progress(step: int, steps: int) -> None:
            done = found.before + found.count * min(step / max(steps, 1), 1.0)
            report(Stage(f"cloaking, {found.strength}", done, found.of))

        report(Stage("asking a server", found.before, found.of))
        attack = found.attack
        work = {"attack": attack.name, "parameters": attack.parameters, "strength": found.strength}
        answer = self.servers.changed(Frame({"change": work}, found.packed.read()), progress, self._job_seconds)
        packed = asked.photo.beside(PATCHES, answer.frame.content)
        try:
            self._ask(self.worker, TakePatches(packed, answer.notes))
        except RequestError as error:  # it rests from now on: the next one that is asked is another
            answer.server.failed(f"{answer.server.address.text}: it answered with {error}")

    def _remove_files(self, asked: Change) -> None:
        if asked.photo.file is not None:
            for ending in (FACES, PATCHES):
                with suppress(OSError):
                    asked.photo.file.with_suffix(f".{ending}").unlink()

    def kill(self) -> None:
        """End all processes now and disconnect, from any thread."""
        super().kill()
        if self._complete_worker is not None:
            self._complete_worker.end_now()
        if self._known is not None:
            self._known.close()

    def close(self) -> None:
        """End all processes and disconnect."""
        super().close()
        if self._complete_worker is not None:
            self._complete_worker.close()
            self._complete_worker = None
        if self._known is not None:
            self._known.close()
            self._known = None


def _make_thrifty_verifier(roster: store.Roster, device: str) -> Handlers:
    from uncnn.daemon.protect.verifier import make_verifier

    Thrift.begin()
    return make_verifier(roster, device)


def _make_thin_worker(roster: store.Roster) -> Handlers:
    from uncnn.daemon.remote.thin_worker import make_thin_worker  # ONNX Runtime: only in the spawned process

    Thrift.begin()
    return make_thin_worker(roster)
