"""The worker of a machine that has its faces changed by another: decodes, detects, cuts, renders, encodes. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from uncnn.daemon.protect.messages import AttackChoice, Change, Loaded, Look, Looked, Ready
from uncnn.daemon.protect.wire import Handlers, Report
from uncnn.daemon.protect.worker import Batch, Worker
from uncnn.daemon.remote.messages import FACES, FacesToSend, NextFaces, NoFaces, Taken, TakePatches
from uncnn.daemon.remote.packing import PackingError, pack_faces, unpack_patches
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import UncnnError
from uncnn.plugins.engine.patches import CutFace, Patch, cut_faces
from uncnn.plugins.recognisers.canaries import Canaries
from uncnn.plugins.registry import make_budget


@dataclass(slots=True)
class RemoteChanger:
    """Remembers what servers said of attacks; changes nothing by itself."""

    said: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by the name of an attack

    def patches(self, batch: Batch, report: Report) -> list[Patch]:
        """Refuse: faces are cut and taken before a photo is written. Raises UncnnError."""
        raise UncnnError(f"internal error: {len(batch.faces)} faces were not sent to a server; please report it")

    def notes(self, attack: AttackChoice) -> tuple[str, ...]:
        """Return what the server that ran an attack said of it."""
        return self.said.get(attack.name, ())


@dataclass(slots=True)
class ThinWorker:
    """A worker, and the faces that were cut last."""

    worker: Worker
    changer: RemoteChanger
    batch: Batch | None = None
    faces: Sequence[CutFace] = ()

    def next_faces(self, asked: NextFaces, _report: Report) -> FacesToSend | NoFaces:
        """Return the next faces of a photo that are to be changed."""
        batch = self.worker.next_batch(asked.change, asked.alone)
        if batch is None:
            return NoFaces()
        self.batch, self.faces = batch, cut_faces(batch.in_photos())
        packed = asked.change.photo.beside(FACES, pack_faces(self.faces))
        count = len(self.faces)
        return FacesToSend(packed, batch.attack, batch.strength, count, batch.before, batch.of, batch.alone)

    def take(self, asked: TakePatches, _report: Report) -> Taken:
        """Keep what was done to them. Raises PackingError: it is nothing that may be done."""
        if self.batch is None:
            raise PackingError("no faces were sent")
        budget = make_budget(self.batch.strength, self.batch.attack.parameters)
        self.batch.take(unpack_patches(asked.packed.read(), self.faces, budget))
        self.changer.said[self.batch.attack.name] = asked.notes
        self.batch, self.faces = None, ()
        return Taken()


def make_thin_worker(roster: Roster) -> Handlers:
    """Return what the worker process answers.

    Raises:
        DetectorError, UnknownDetector, CanaryError: the detector is not what it should be.
    """
    detector = roster.detector.load("cpu", torch=False)
    canaries = Canaries(detector, plugin=roster.detector.plugin)
    changer = RemoteChanger()
    worker = Worker(detector, changer)
    thin = ThinWorker(worker, changer)

    def look(asked: Look, _report: Report) -> Looked:
        canaries.count()
        return worker.looked(asked)

    return {
        Ready: lambda _asked, _report: Loaded("cpu", canaries=canaries.answers),
        Look: look,
        NextFaces: thin.next_faces,
        TakePatches: thin.take,
        Change: worker.change,
    }
