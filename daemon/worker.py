"""The worker process: decodes, detects, attacks, encodes. The only one with torch."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from uncnn.daemon.people.gallery import gallery
from uncnn.daemon.people.store import read_people
from uncnn.daemon.photos import decode, encode
from uncnn.daemon.processes import Handler, Message, Report
from uncnn.daemon.subject import Key, Subject
from uncnn.daemon.verify.moved import write_moved
from uncnn.daemon.verify.verdict import FACES
from uncnn.exporters.store import Roster
from uncnn.plugins.api import Detector, Face, Rotated, UncnnError
from uncnn.plugins.canaries import Canaries
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.host import Patch, add, moved, perturb_all
from uncnn.plugins.overlap import beside
from uncnn.plugins.recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import make_aim, make_attack, make_budget, notes_of

FACES_A_BATCH = 16
MOST_PIXELS = 300_000_000  # numbers of the decoded photos that share a batch: 100 megapixels


@dataclass(slots=True)
class Worker:
    """The models of the worker, loaded once, and the photos it is at: one, or several that share a batch."""

    detector: Detector
    surrogates: Sequence[Recogniser]
    subjects: dict[str, Subject] = field(default_factory=dict)  # by the content's sha256

    def look(self, source: Path, name: str, rotated: Rotated = False, keep: bool = False) -> Subject:
        """Return the photo at `source`, decoded, with its faces; `name` is what a person calls it.

        `rotated`: faces at any in-plane angle are looked for. Others are let go of before it is decoded, unless they
        are to be kept.

        Raises:
            PhotoError: it is no photo that can be taken.
        """
        data = source.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        known = self.subjects.get(sha256)
        if known is None or known.rotated != rotated:
            if not keep:
                self.subjects.clear()
            photo = decode(data, name)
            faces = looking(self.detector, rotated).detect(photo.pixels)
            self.subjects[sha256] = Subject.of(sha256, photo, faces, rotated)
        return self.subjects[sha256]

    def cloak(self, request: Message, report: Report) -> Message:
        """Change the faces of the request, each with its own strength, and write the file that would be released."""
        subject = self.look(Path(request["source"]), request["name"], request.get("rotated", False))
        faces: list[Face] = FACES.validate_python(request["faces"])
        strengths: list[str] = request["strengths"]
        done = json.dumps(request["attack"], sort_keys=True)
        near = zip(faces, strengths, beside(faces), strict=True)
        keys = [(face, f"{strength} {done}", others) for face, strength, others in near]
        missing = [pair for pair in zip(keys, strengths, strict=True) if pair[0] not in subject.patches]
        for strength in dict.fromkeys(strength for _, strength in missing):
            todo = [(subject, key) for key, own in missing if own == strength]
            todo += self._others(request, subject, f"{strength} {done}", FACES_A_BATCH - len(todo))
            for start in range(0, len(todo), FACES_A_BATCH):
                batch = todo[start : start + FACES_A_BATCH]
                try:
                    patches = self._perturb(batch, strength, request["attack"], (start, len(todo)), report)
                except Exception:  # whichever photo of the batch it was: each has its own turn
                    alone = [pair for pair in batch if pair[0] is subject]
                    if len(alone) == len(batch):
                        raise
                    batch = alone
                    patches = self._perturb(batch, strength, request["attack"], (start, len(todo)), report)
                for (own, key), patch in zip(batch, patches, strict=True):
                    own.patches[key] = patch
        for key in subject.patches.keys() - set(keys):
            del subject.patches[key]  # of a rung that its face has left: a crowd has hundreds
        patches = [subject.patches[key] for key in keys]
        base = moved(subject.photo.pixels, patches)
        pixels, spent = add(base, patches)
        destination = Path(request["destination"])
        comparable = destination.with_name(f"{destination.name}.moved") if base is not subject.photo.pixels else None
        if comparable is not None:
            write_moved(comparable, base, faces, [own.flow for own in spent])
        del base  # a large photo is not held once more
        metadata = request.get("metadata", "none")
        with _temporary_files_in(destination.parent):  # what libraries write for a moment is a photo too
            released = encode(subject.photo, pixels, request["format"], request["quality"], metadata)
        destination.write_bytes(released.data)
        notes = notes_of(make_attack(request["attack"]["name"], request["attack"]["parameters"])) if keys else ()
        return {
            "spent": [asdict(own) for own in spent],
            "sha256": hashlib.sha256(released.data).hexdigest(),
            "notes": [*notes, *released.notes],
            "moved": None if comparable is None else str(comparable),
        }

    def _others(self, request: Message, subject: Subject, done: str, room: int) -> list[tuple[Subject, Key]]:
        """Return faces of the photos that come next, where the batch has room for all of a photo's.

        A photo that cannot be read is left out here: its own turn says why. So is the same picture once more. One that
        was decoded stays until its turn where memory allows, whether there was room for it or not.
        """
        found: list[tuple[Subject, Key]] = []
        if room <= 0:
            return found
        pictures = {subject.fingerprint: subject}
        pixels = subject.photo.pixels.size
        for other in request.get("next", ()):
            with suppress(UncnnError, OSError):
                own = self.look(Path(other["source"]), other["name"], subject.rotated, keep=True)
                if own.fingerprint in pictures:
                    if pictures[own.fingerprint] is not own:
                        del self.subjects[own.sha256]
                    continue
                pictures[own.fingerprint] = own
                pixels += own.photo.pixels.size
                known = [face for face in own.faces if face.size_px >= request["smallest_px"]]
                faces = [(own, (face, done, others)) for face, others in zip(known, beside(known), strict=True)]
                faces = [pair for pair in faces if pair[1] not in own.patches]
                if pixels > MOST_PIXELS:
                    del self.subjects[own.sha256]
                if len(found) + len(faces) > room or pixels > MOST_PIXELS:
                    break
                found += faces
        return found

    def _perturb(
        self,
        batch: Sequence[tuple[Subject, Key]],
        strength: str,
        attack: Mapping[str, Any],
        progress: tuple[int, int],
        report: Report,
    ) -> list[Patch]:
        """Return the patches of one batch of faces; `progress` is how many faces come before, and how many in all."""
        before, of = progress

        def on_step(step: int, steps: int) -> None:
            report({"stage": f"cloaking, {strength}", "done": before + len(batch) * step / steps, "of": of})

        return perturb_all(
            [own.portrait(key, {face for other, (face, *_) in batch if other is own}) for own, key in batch],
            make_attack(attack["name"], attack["parameters"]),
            self.surrogates,
            make_budget(strength, attack["parameters"]),
            make_aim(attack["parameters"], lambda: gallery(read_people(Path(attack["people"])))),
            on_step,
        )


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def make_worker(roster: Roster, device: str) -> Handler:
    """Return the handler of the worker process; its requests are `ready`, `look` and `cloak`.

    Raises:
        CardError, GraphError, DetectorError, CanaryError: a model is not what it should be.
    """
    torch.set_num_threads(1)  # the surrogates share the cores among them, one a thread
    torch.set_flush_denormal(True)
    chosen = torch_device(device)
    surrogates = [load_recogniser(model.folder, chosen) for model in roster.surrogates]
    detector = _detector(roster, chosen)
    canaries = Canaries(detector)
    worker = Worker(detector, surrogates)

    def handle(request: Message, report: Report) -> Message:
        if request["do"] == "ready":
            return {"device": chosen}
        if request["do"] == "cloak":
            return worker.cloak(request, report)
        canaries.count()
        subject = worker.look(Path(request["source"]), request["name"], request.get("rotated", False))
        photo = subject.photo
        return {
            "faces": FACES.dump_python(subject.faces, mode="json"),
            "format": photo.format,
            "size": [photo.pixels.shape[1], photo.pixels.shape[0]],
            "notes": list(photo.notes),
            "fingerprint": subject.fingerprint,
        }

    return handle


def _detector(roster: Roster, device: str) -> Detector:
    """Return RetinaFace in torch on a GPU; on a CPU in ONNX Runtime, which takes two thirds of the time there."""
    files = roster.detector
    if device == "cpu":
        return load_onnx(files.onnx, ["CPUExecutionProvider"], sha256=files.onnx_sha256)
    return load_torch(files.weights, device, files.weights_sha256)


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
