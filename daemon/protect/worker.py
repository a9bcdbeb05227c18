"""The worker: decodes, detects, has faces changed, encodes. Who changes faces may have torch: not this."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from uncnn.daemon.photos import decode, encode
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import CANDIDATE, MOVED, AttackChoice, Change, Changed, Look, Looked
from uncnn.daemon.protect.moved import pack_moved
from uncnn.daemon.protect.wire import Report
from uncnn.daemon.protect.working_photo import Key, WorkingPhoto
from uncnn.plugins.api import Detector, Rotated, UncnnError
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.engine.patches import FaceInPhoto, Patch
from uncnn.plugins.engine.rendering import add, moved
from uncnn.plugins.geometry import neighbours

FACES_A_BATCH = 16
MOST_PIXELS = 300_000_000  # numbers of the decoded photos that share a batch: 100 megapixels


@dataclass(frozen=True, slots=True)
class Batch:
    """Faces that are changed at once, all with one strength and by one attack: of a photo, and of those that follow."""

    faces: tuple[tuple[WorkingPhoto, Key], ...]
    strength: str
    attack: AttackChoice
    before: int  # faces of the photo that were changed before
    of: int  # faces to change in all
    alone: bool  # all faces are those of the photo whose turn it is

    def in_photos(self) -> list[FaceInPhoto]:
        """Return the faces for the attack."""
        return [
            own.face_in_photo(key, {number for other, (number, *_) in self.faces if other is own})
            for own, key in self.faces
        ]

    def take(self, patches: Sequence[Patch]) -> None:
        """Keep what is done to each face."""
        for (own, key), patch in zip(self.faces, patches, strict=True):
            own.patches[key] = patch


class Changer(Protocol):
    """Changes faces: by torch in this process, or on another machine."""

    def patches(self, batch: Batch, report: Report) -> list[Patch]:
        """Return what is done to each face of a batch. Raises UncnnError."""
        ...

    def notes(self, attack: AttackChoice) -> tuple[str, ...]:
        """Return what a person should know of an attack."""
        ...


@dataclass(slots=True)
class Worker:
    """The detector, who changes faces, and the photos it is at: one, or several that share a batch."""

    detector: Detector
    changer: Changer
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
        working, keys = self._at(asked)
        while (batch := self._next(working, keys, asked, alone=False)) is not None:
            try:
                patches = self.changer.patches(batch, report)
            except Exception:  # whichever photo of the batch it was: each has its own turn
                if batch.alone or (batch := self._next(working, keys, asked, alone=True)) is None:
                    raise
                patches = self.changer.patches(batch, report)
            batch.take(patches)
        for key in working.patches.keys() - set(keys):
            del working.patches[key]  # of a level that its face has left: a crowd has hundreds
        patches = [working.patches[key] for key in keys]
        base = moved(working.photo.pixels, patches)
        pixels, norms = add(base, patches)
        squares = None
        if base is not working.photo.pixels:
            shares = {number: own.flow for (number, *_), own in zip(keys, norms, strict=True)}
            flows = [shares.get(number, 0.0) for number in range(len(asked.faces))]
            squares = asked.photo.beside(MOVED, pack_moved(base, asked.faces, flows))
        del base  # a large photo is not held once more
        with _temporary_files_beside(asked.photo):  # what libraries write for a moment is a photo too
            released = encode(working.photo, pixels, asked.format, asked.quality, asked.metadata)
        notes = self.changer.notes(asked.attack) if keys else ()
        candidate = asked.photo.beside(CANDIDATE, released.data)
        return Changed(candidate, (*notes, *released.notes), squares)

    def next_batch(self, asked: Change, alone: bool = False) -> Batch | None:
        """Return the next faces of a photo to change, and of photos that follow what fits beside them; None: all are.

        `alone`: no other photo's faces are wanted.
        """
        return self._next(*self._at(asked), asked, alone)

    def _at(self, asked: Change) -> tuple[WorkingPhoto, list[Key]]:
        """Return the photo of a job, and the faces that are to be changed."""
        working = self.look(asked.photo, asked.name, asked.rotated)
        working.number(asked.faces)
        return working, _keys(asked)

    def _next(self, working: WorkingPhoto, keys: Sequence[Key], asked: Change, alone: bool) -> Batch | None:
        missing = [key for key in keys if key not in working.patches]
        if not missing:
            return None
        number, done, _ = missing[0]
        level = [key for key in missing if key[1] == done]
        faces = [(working, key) for key in level[:FACES_A_BATCH]]
        own = len(faces)
        if not alone:
            faces += self._others(asked, working, done, FACES_A_BATCH - len(level))
        before = sum(key[1] == done for key in keys) - len(level)
        of = before + max(len(level), len(faces))
        return Batch(tuple(faces), asked.strengths[number], asked.attack, before, of, len(faces) == own)

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


def _done(strength: str, attack: AttackChoice) -> str:
    """Return what tells one change of a face from another."""
    people = [(person.name, str(person.enrolled), str(person.consented)) for person in attack.people.people]
    return json.dumps([strength, attack.name, attack.parameters, people], sort_keys=True)


def _keys(asked: Change) -> list[Key]:
    """Return the faces that are to be changed, and with whom beside them."""
    cloaked = [number for number, strength in enumerate(asked.strengths) if strength]
    near = neighbours([asked.faces[number] for number in cloaked])
    return [
        (number, _done(asked.strengths[number], asked.attack), tuple(cloaked[place] for place in places))
        for number, places in zip(cloaked, near, strict=True)
    ]


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
