"""The worker process: decodes, detects, attacks, encodes. The only one with torch."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
import torch

from uncnn.daemon.people.gallery import gallery
from uncnn.daemon.photos import decode, encode
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import (
    CANDIDATE,
    MASK,
    MOVED,
    AttackChoice,
    Change,
    Changed,
    Loaded,
    Look,
    Looked,
    MakeMask,
    Ready,
)
from uncnn.daemon.protect.moved import pack_moved
from uncnn.daemon.protect.wire import Handlers, Report, Stage
from uncnn.daemon.protect.working_photo import Key, WorkingPhoto
from uncnn.daemon.text import printable
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import Detector, Rotated, UncnnError
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.engine.host import Patch, add, moved, perturb_all
from uncnn.plugins.engine.mask_maker import make_mask
from uncnn.plugins.engine.overlap import neighbours
from uncnn.plugins.person_mask import MaskError
from uncnn.plugins.recognisers.canaries import Canaries
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import make_attack, make_budget, make_target, notes_of

FACES_A_BATCH = 16
MOST_PIXELS = 300_000_000  # numbers of the decoded photos that share a batch: 100 megapixels


@dataclass(slots=True)
class Worker:
    """The models of the worker, loaded once, and the photos it is at: one, or several that share a batch."""

    detector: Detector
    surrogates: Sequence[Recogniser]
    working_photos: dict[str, WorkingPhoto] = field(default_factory=dict)  # by the content's sha256

    def look(self, photo: Content, name: str, rotated: Rotated = False, keep: bool = False) -> WorkingPhoto:
        """Return a photo, decoded, with its faces; `name` is what a person calls it.

        `rotated`: faces at any in-plane angle are looked for. Others are let go of before it is decoded, unless they
        are to be kept.

        Raises:
            PhotoError: it is no photo that can be taken.
        """
        data = photo.read()
        sha256 = hashlib.sha256(data).hexdigest()
        known = self.working_photos.get(sha256)
        if known is None or known.rotated != rotated:
            if not keep:
                self.working_photos.clear()
            decoded = decode(data, name)
            faces = looking(self.detector, rotated).detect(decoded.pixels)
            self.working_photos[sha256] = WorkingPhoto.of(sha256, decoded, faces, rotated)
        return self.working_photos[sha256]

    def looked(self, asked: Look) -> Looked:
        """Return what there is in a photo. Raises PhotoError: it is no photo that can be taken."""
        working = self.look(asked.photo, asked.name, asked.rotated)
        height, width = working.photo.pixels.shape[:2]
        photo = working.photo
        return Looked(working.faces, photo.format, (width, height), tuple(photo.notes), working.fingerprint)

    def change(self, asked: Change, report: Report) -> Changed:
        """Change the faces of a photo, each with its own strength, and make the file that would be published."""
        working = self.look(asked.photo, asked.name, asked.rotated)
        working.number(asked.faces)
        cloaked = [number for number, strength in enumerate(asked.strengths) if strength]
        faces = [asked.faces[number] for number in cloaked]
        near = [tuple(cloaked[place] for place in places) for places in neighbours(faces)]
        keys = [
            (number, _done(asked.strengths[number], asked.attack), others)
            for number, others in zip(cloaked, near, strict=True)
        ]
        self._cloak(working, keys, asked, report)
        for key in working.patches.keys() - set(keys):
            del working.patches[key]  # of a level that its face has left: a crowd has hundreds
        patches = [working.patches[key] for key in keys]
        base = moved(working.photo.pixels, patches)
        pixels, norms = add(base, patches)
        squares = None
        if base is not working.photo.pixels:
            shares = dict(zip(cloaked, (own.flow for own in norms), strict=True))
            flows = [shares.get(number, 0.0) for number in range(len(asked.faces))]
            squares = asked.photo.beside(MOVED, pack_moved(base, asked.faces, flows))
        del base  # a large photo is not held once more
        with _temporary_files_beside(asked.photo):  # what libraries write for a moment is a photo too
            released = encode(working.photo, pixels, asked.format, asked.quality, asked.metadata)
        notes = notes_of(make_attack(asked.attack.name, asked.attack.parameters)) if keys else ()
        candidate = asked.photo.beside(CANDIDATE, released.data)
        return Changed(candidate, (*notes, *released.notes), squares)

    def mask(self, asked: MakeMask, report: Report) -> Content:
        """Make a mask of the person whom each photo shows; of several faces the largest is meant.

        Raises:
            PhotoError: one is no photo that can be taken. MaskError: no face is found in one.
        """
        pictures = []
        for photo, name in zip(asked.photos, asked.names, strict=True):
            working = self.look(photo, name, asked.rotated)
            if not working.faces:
                raise MaskError(f"{printable(name)} shows no face: leave it out")
            face = max(working.faces, key=lambda face: face.size_px)
            pictures.append((working.photo.pixels, np.array(face.landmarks)))
        self.working_photos.clear()
        mask = make_mask(
            pictures,
            self.surrogates,
            make_budget(asked.strength, {}),
            asked.steps,
            on_step=lambda step, steps: report(Stage("making the mask", step, steps)),
        )
        return asked.photos[0].beside(MASK, mask.packed())

    def _cloak(self, working: WorkingPhoto, keys: Sequence[Key], asked: Change, report: Report) -> None:
        """Make those patches of a photo that were not made before, and of photos that follow what fits beside them."""
        missing = [key for key in keys if key not in working.patches]
        for strength in dict.fromkeys(asked.strengths[number] for number, *_ in missing):
            done = _done(strength, asked.attack)
            todo = [(working, key) for key in missing if key[1] == done]
            todo += self._others(asked, working, done, FACES_A_BATCH - len(todo))
            for start in range(0, len(todo), FACES_A_BATCH):
                batch = todo[start : start + FACES_A_BATCH]
                progress = start, len(todo)
                try:
                    patches = self._perturb(batch, strength, asked.attack, progress, report)
                except Exception:  # whichever photo of the batch it was: each has its own turn
                    alone = [pair for pair in batch if pair[0] is working]
                    if len(alone) == len(batch):
                        raise
                    batch = alone
                    patches = self._perturb(batch, strength, asked.attack, progress, report)
                for (own, key), patch in zip(batch, patches, strict=True):
                    own.patches[key] = patch

    def _others(self, asked: Change, working: WorkingPhoto, done: str, room: int) -> list[tuple[WorkingPhoto, Key]]:
        """Return faces of the photos that come next, where the batch has room for all of a photo's.

        A photo that cannot be read is left out here: its own turn says why. So is the same picture once more. One that
        was decoded stays until its turn where memory allows, whether there was room for it or not.
        """
        found: list[tuple[WorkingPhoto, Key]] = []
        if room <= 0:
            return found
        pictures = {working.fingerprint: working}
        pixels = working.photo.pixels.size
        for other in asked.following:
            with suppress(UncnnError, OSError):
                own = self.look(other.photo, other.name, working.rotated, keep=True)
                if own.fingerprint in pictures:
                    if pictures[own.fingerprint] is not own:
                        del self.working_photos[own.sha256]
                    continue
                pictures[own.fingerprint] = own
                pixels += own.photo.pixels.size
                faces = [(own, key) for key in _keys_of(own, done, asked.smallest_px) if key not in own.patches]
                if pixels > MOST_PIXELS:
                    del self.working_photos[own.sha256]
                if len(found) + len(faces) > room or pixels > MOST_PIXELS:
                    break
                found += faces
        return found

    def _perturb(
        self,
        batch: Sequence[tuple[WorkingPhoto, Key]],
        strength: str,
        attack: AttackChoice,
        progress: tuple[int, int],
        report: Report,
    ) -> list[Patch]:
        """Return the patches of one batch of faces; `progress` is how many faces come before, and how many in all."""
        before, of = progress

        def on_step(step: int, steps: int) -> None:
            report(Stage(f"cloaking, {strength}", before + len(batch) * step / steps, of))

        return perturb_all(
            [own.face_in_photo(key, {number for other, (number, *_) in batch if other is own}) for own, key in batch],
            make_attack(attack.name, attack.parameters),
            self.surrogates,
            make_budget(strength, attack.parameters),
            make_target(attack.parameters, lambda: gallery(attack.people)),
            on_step,
        )


def _done(strength: str, attack: AttackChoice) -> str:
    """Return what tells one change of a face from another."""
    people = [(person.name, str(person.enrolled), str(person.consented)) for person in attack.people.people]
    return json.dumps([strength, attack.name, attack.parameters, people], sort_keys=True)


def _keys_of(working: WorkingPhoto, done: str, smallest_px: float) -> list[Key]:
    """Return the faces of a photo whose turn comes, as they will be asked for then, if no other is found."""
    numbers = [number for number, face in enumerate(working.faces) if face.size_px >= smallest_px]
    near = neighbours([working.faces[number] for number in numbers])
    places = zip(numbers, near, strict=True)
    return [(number, done, tuple(numbers[place] for place in others)) for number, others in places]


@contextmanager
def _temporary_files_beside(photo: Content) -> Iterator[None]:
    before = tempfile.tempdir
    if photo.file is not None:
        tempfile.tempdir = str(photo.file.parent)
    try:
        yield
    finally:
        tempfile.tempdir = before


def make_worker(roster: Roster, device: str) -> Handlers:
    """Return what the worker process answers.

    Raises:
        CardError, GraphError, DetectorError, UnknownDetector, CanaryError: a model is not what it should be.
    """
    torch.set_num_threads(1)  # the surrogates share the cores among them, one a thread
    torch.set_flush_denormal(True)
    chosen = torch_device(device)
    surrogates = [load_recogniser(model.folder, chosen) for model in roster.surrogates]
    detector = roster.detector.load(chosen, torch=True)
    canaries = Canaries(detector, plugin=roster.detector.plugin)
    worker = Worker(detector, surrogates)

    def look(asked: Look, _report: Report) -> Looked:
        canaries.count()
        return worker.looked(asked)

    return {
        Ready: lambda _asked, _report: Loaded(chosen, canaries=canaries.answers),
        Look: look,
        Change: worker.change,
        MakeMask: worker.mask,
    }


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
