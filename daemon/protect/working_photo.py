"""The photo that the worker is at: what was found in it and what was done."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from uncnn.daemon.photos import Photo
from uncnn.daemon.photos.fingerprint import fingerprint, seed
from uncnn.plugins.api import Face, Rotated
from uncnn.plugins.engine.patches import FaceInPhoto, Patch

Key: TypeAlias = tuple[int, str, tuple[int, ...]]
"""The number of a face, what was done to it, and those of the faces beside it that were cloaked too."""


@dataclass(frozen=True, slots=True)
class WorkingPhoto:
    """The photo that is worked on, kept while it escalates: what was found and done is not done again."""

    sha256: str
    photo: Photo
    faces: tuple[Face, ...]  # that were found in it
    rotated: Rotated  # whether faces at any angle were looked for
    fingerprint: str
    seed: int  # where its random numbers begin
    numbered: list[Face]  # the faces of the job: those, and what others found
    patches: dict[Key, Patch] = field(default_factory=dict)

    @classmethod
    def of(cls, sha256: str, photo: Photo, faces: Sequence[Face], rotated: Rotated = False) -> WorkingPhoto:
        """Return a photo that nothing was done to yet."""
        return cls(sha256, photo, tuple(faces), rotated, fingerprint(photo), seed(photo), list(faces))

    def number(self, faces: Sequence[Face]) -> None:
        """Take over the faces of a job: what was done to a number that is another face there is forgotten."""
        pairs = zip(self.numbered, faces, strict=False)
        same = {number for number, (known, face) in enumerate(pairs) if known == face}
        for key in [key for key in self.patches if not same.issuperset((key[0], *key[2]))]:
            del self.patches[key]
        self.numbered[:] = faces

    def face_in_photo(self, key: Key, at_work: Container[int]) -> FaceInPhoto:
        """Return a face for the attack, seen with what was done to those beside it that are not `at_work` too."""
        number, _, others = key
        latest = {known: patch for (known, _, _), patch in self.patches.items()}
        earlier = tuple(latest[other] for other in others if other in latest and other not in at_work)
        beside = tuple(self.numbered[other] for other in others)
        return FaceInPhoto(self.photo.pixels, self.numbered[number], self.seed, self.photo.grey, beside, earlier)
