"""The worker process that changes faces by itself: the one with torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from uncnn.daemon.people.gallery import gallery
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import MASK, AttackChoice, Change, Loaded, Look, Looked, MakeMask, Ready
from uncnn.daemon.protect.wire import Handlers, Report, Stage
from uncnn.daemon.protect.worker import Batch, Worker
from uncnn.daemon.text import printable
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import UncnnError
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.mask_maker import make_mask
from uncnn.plugins.engine.patches import Patch
from uncnn.plugins.person_mask import MaskError
from uncnn.plugins.recognisers.canaries import Canaries
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import make_attack, make_budget, make_target, notes_of


@dataclass(frozen=True, slots=True)
class TorchChanger:
    """Changes faces in this process."""

    surrogates: Sequence[Recogniser]

    def patches(self, batch: Batch, report: Report) -> list[Patch]:
        """Return what is done to each face of a batch. Raises PluginError, TargetError, UnknownAttack."""
        attack = batch.attack

        def on_step(step: int, steps: int) -> None:
            done = batch.before + len(batch.faces) * step / steps
            report(Stage(f"cloaking, {batch.strength}", done, batch.of))

        return perturb_all(
            batch.in_photos(),
            make_attack(attack.name, attack.parameters),
            self.surrogates,
            make_budget(batch.strength, attack.parameters),
            make_target(attack.parameters, lambda: gallery(attack.people)),
            on_step,
        )

    def notes(self, attack: AttackChoice) -> tuple[str, ...]:
        """Return what a person should know of an attack. Raises UnknownAttack."""
        return notes_of(make_attack(attack.name, attack.parameters))


def mask(worker: Worker, surrogates: Sequence[Recogniser], asked: MakeMask, report: Report) -> Content:
    """Make a mask of the person whom each photo shows; of several faces the largest is meant.

    Raises:
        PhotoError: one is no photo that can be taken. MaskError: no face is found in one.
    """
    pictures = []
    for photo, name in zip(asked.photos, asked.names, strict=True):
        working = worker.look(photo, name, asked.rotated)
        if not working.faces:
            raise MaskError(f"{printable(name)} shows no face: leave it out")
        face = max(working.faces, key=lambda face: face.size_px)
        pictures.append((working.photo.pixels, np.array(face.landmarks)))
    worker.working_photos.clear()
    made = make_mask(
        pictures,
        surrogates,
        make_budget(asked.strength, {}),
        asked.steps,
        on_step=lambda step, steps: report(Stage("making the mask", step, steps)),
    )
    return asked.photos[0].beside(MASK, made.packed())


def make_worker(roster: Roster, device: str) -> Handlers:
    """Return what the worker process answers.

    Raises:
        CardError, GraphError, DetectorError, UnknownDetector, CanaryError: a model is not what it should be.
    """
    chosen, surrogates = loaded([model.folder for model in roster.surrogates], device)
    detector = roster.detector.load(chosen, torch=True)
    canaries = Canaries(detector, plugin=roster.detector.plugin)
    worker = Worker(detector, TorchChanger(surrogates))

    def look(asked: Look, _report: Report) -> Looked:
        canaries.count()
        return worker.looked(asked)

    return {
        Ready: lambda _asked, _report: Loaded(chosen, canaries=canaries.answers),
        Look: look,
        Change: worker.change,
        MakeMask: lambda asked, report: mask(worker, surrogates, asked, report),
    }


def loaded(folders: Sequence[Path], device: str) -> tuple[str, list[Recogniser]]:
    """Return the device and the recognisers of these folders on it; torch is set up for them.

    Raises CardError, GraphError, UncnnError: that GPU is not there.
    """
    torch.set_num_threads(1)  # the surrogates share the cores among them, one a thread
    torch.set_flush_denormal(True)
    chosen = torch_device(device)
    return chosen, [load_recogniser(folder, chosen) for folder in folders]


def torch_device(wanted: str) -> str:
    """Return the torch device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        UncnnError: that GPU is not there.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda"):
        number = int(wanted.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise UncnnError(f"device {wanted}: torch finds {torch.cuda.device_count()} GPUs here; use auto or cpu")
    return wanted
