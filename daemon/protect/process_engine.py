"""The processes that do the work: started when first needed, started again after one died."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from uncnn.daemon.config import Models
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import (
    CANDIDATE,
    MASK,
    MOVED,
    Change,
    Changed,
    Loaded,
    Look,
    LookAhead,
    Looked,
    MakeMask,
    Ready,
)
from uncnn.daemon.protect.processes import Child, ProcessDied
from uncnn.daemon.protect.wire import Ask, Handlers, Report, RequestError, Stage
from uncnn.daemon.sandbox.protection import Protection, held_in_all
from uncnn.daemon.sandbox.rules import Sandbox, sandbox_for
from uncnn.daemon.verify.programs import BUTTERAUGLI
from uncnn.exporters.registry import detectors, store
from uncnn.plugins.extras import MissingPackage, require
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

Answer = TypeVar("Answer")
Model = TypeVar("Model")

PREPARE_SECONDS = 600.0  # a first use exports models
LOADING = "loading the models"  # the stage that a person reads
_JUDGING: Final = ("onnxruntime",)  # what a verifier computes with: who only judges needs nothing else
JOB_SECONDS = 3600.0  # a photo of a crowd on a slow machine


@dataclass(frozen=True, slots=True)
class Convert(Ask[store.DetectorFiles]):
    """Convert the weights of a detector that is not ours, into a folder of models."""

    weights: Path
    models: Path


class ProcessEngine:
    """One worker and one verifier over the same models. Use it in a `with` block."""

    def __init__(self, models: Models, device: str, data: Path, spool: Path, job_seconds: float = JOB_SECONDS) -> None:
        """Nothing is started yet; a process that takes longer than `job_seconds` over a photo is killed.

        `spool` is the folder that the photos are handed over in: both read and write nothing but what is in there.
        """
        self.device = device
        self.started = False
        self.providers: tuple[str, ...] = ()  # that the verifier really uses, once it has started
        self._job_seconds = job_seconds
        self._models = models
        self._data = data
        self._spool = spool
        self._roster: store.Roster | None = None
        self._worker: Child | None = None
        self._verifier: Child | None = None
        self._canaries: dict[str, CanaryAnswers] = {}  # by the name of the process

    @property
    def roster(self) -> store.Roster:
        """Return the models of this run.

        Raises:
            RequestError: a model is missing or broken. ProcessDied: an export was killed.
        """
        if self._roster is None:
            named = self._models.surrogates, self._models.judges, self._models.licences
            self._roster = models_found(
                lambda convert: store.prepare(self._data, *named, self._models.detector, convert, _JUDGING)
            )
        return self._roster

    @property
    def worker(self) -> Child:
        """Return the running worker."""
        if self._worker is None or not self._worker.alive:
            self._worker = self.new_worker()
        return self._worker

    def new_worker(self) -> Child:
        """Return a new process that changes faces; the caller closes it. Raises RequestError: there is no torch."""
        try:
            require("torch", "onnxruntime")
        except MissingPackage as error:
            raise RequestError(str(error), "model") from error
        make = partial(_make_worker, self.roster, self.device)
        return Child("worker", make, self._sandbox(self.roster), ["uncnn.daemon.protect.torch_worker"])

    @property
    def verifier(self) -> Child:
        """Return the running verifier."""
        if self._verifier is None or not self._verifier.alive:
            self._verifier = self.new_verifier(self.roster)
        return self._verifier

    def new_verifier(self, roster: store.Roster) -> Child:
        """Return a new process that asks these models; the caller closes it."""
        return self._verifier_by(_make_verifier, roster)

    def _verifier_by(self, make: Callable[[store.Roster, str], Handlers], roster: store.Roster) -> Child:
        handlers = partial(make, roster, self.device)
        return Child("verifier", handlers, self._sandbox(roster, [BUTTERAUGLI]), ["uncnn.daemon.protect.verifier"])

    @property
    def protection(self) -> Protection:
        """Return what of the sandbox holds in both processes, once they have started."""
        return held_in_all(child.protection for child in (self._worker, self._verifier) if child is not None)

    def _sandbox(self, roster: store.Roster, programs: Sequence[str] = ()) -> Sandbox:
        """Return the rules for a process of this engine."""
        return sandbox_for(self._spool, roster.files(), self.device, programs)

    def start(self) -> str:
        """Start both, which load their models side by side; return the worker's device when both have.

        Raises:
            RequestError: a model is missing or broken. ProcessDied: a process ended.
        """
        both = (self.worker, self.verifier)
        answers = [self._load(child) for child in both]
        self.started = True
        self.providers = answers[1].providers
        return answers[0].device

    def look(self, asked: Look) -> Looked:
        """Return what the worker sees in a photo; the verifier looks at it too. Raises RequestError, ProcessDied."""
        if self._verifier is not None and self._verifier.answered:
            self._verifier.post(LookAhead(asked.photo, asked.name, asked.rotated))
        return self._ask(self.worker, asked)

    def change(self, asked: Change, report: Report) -> Changed:
        """Return what the worker makes of a photo. Raises RequestError, ProcessDied, UncnnError: another file."""
        return self._changed_by(self.worker, asked, report)

    def _changed_by(self, worker: Child, asked: Change, report: Report) -> Changed:
        changed = self._ask(worker, asked, report)
        asked.photo.check_beside(CANDIDATE, changed.candidate)
        if changed.moved is not None:
            asked.photo.check_beside(MOVED, changed.moved)
        return changed

    def mask(self, asked: MakeMask, report: Report) -> Content:
        """Return a mask that the worker makes. Raises RequestError, ProcessDied, UncnnError: another file."""
        return self._mask_by(self.worker, asked, report)

    def _mask_by(self, worker: Child, asked: MakeMask, report: Report) -> Content:
        return asked.photos[0].check_beside(MASK, self._ask(worker, asked, report))

    def judge(self, asked: Ask[Answer]) -> Answer:
        """Return what the verifier says, of an original or of a copy. Raises RequestError, ProcessDied."""
        return self._ask(self.verifier, asked)

    @property
    def canaries(self) -> tuple[CanaryAnswers, ...]:
        """Return what the models of each process said of known pictures, as far as it is known here."""
        return tuple(self._canaries.values())

    def hear_canaries(self) -> None:
        """Hear from the processes that run what their models said last."""
        for child in (self._worker, self._verifier):
            if child is not None and child.alive and child.answered:
                with suppress(RequestError, ProcessDied):  # the next photo meets the same, and says it
                    self._load(child)

    @property
    def servers_seen(self) -> tuple[ServerState, ...]:
        """Return how it stands with the servers that change faces, in the order of the configuration."""
        return ()

    def _ask(self, child: Child, asked: Ask[Answer], report: Report | None = None) -> Answer:
        if not child.answered:  # one started anew loads its models first: that is no part of the photo's time
            if report is not None:
                report(Stage(LOADING))
            self._load(child)
        return child.call(asked, self._job_seconds, report)

    def _load(self, child: Child) -> Loaded:
        """Wait until a process has loaded its models, and return what it says of itself."""
        said: CanaryAnswers | None = None
        try:
            loaded = child.call(Ready(), PREPARE_SECONDS)
            said = loaded.canaries
        except RequestError as error:
            said = error.canaries
            raise
        finally:
            if said is not None:
                self._canaries[child.name] = replace(said, process=child.name)
        return loaded

    def kill(self) -> None:
        """End both processes now, from any thread: what is asked of them fails with ProcessDied."""
        for child in (self._worker, self._verifier):
            if child is not None:
                child.end_now()

    def close(self) -> None:
        """End both processes."""
        for child in (self._worker, self._verifier):
            if child is not None:
                child.close()
        self._worker = self._verifier = None
        self.started = False

    def __enter__(self) -> ProcessEngine:
        """Return the engine; nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both processes."""
        self.close()


def models_found(find: Callable[[Callable[[Path, Path], store.DetectorFiles]], Model]) -> Model:
    """Return what `find` finds of the models, which is given what converts a detector's weights in another process.

    Raises:
        RequestError: a model is missing or broken. ProcessDied: the conversion was killed.
    """
    try:
        return find(_converted_apart)
    except ProcessDied:
        raise
    except Exception as error:  # as a process says it
        raise RequestError.of(error) from error


def _converted_apart(weights: Path, models: Path) -> store.DetectorFiles:
    """Convert the weights of a detector in a process of its own. Raises RequestError, ProcessDied."""
    child = Child("exporter", _make_exporter)
    try:
        return child.call(Convert(weights, models), PREPARE_SECONDS)
    finally:
        child.close()


def _make_exporter() -> Handlers:
    return {Convert: lambda asked, _report: detectors.convert(asked.weights, asked.models)}


def _make_worker(roster: store.Roster, device: str) -> Handlers:
    from uncnn.daemon.protect.torch_worker import make_worker  # torch: only in the spawned process

    return make_worker(roster, device)


def _make_verifier(roster: store.Roster, device: str) -> Handlers:
    from uncnn.daemon.protect.verifier import make_verifier  # ONNX Runtime: likewise

    return make_verifier(roster, device)
