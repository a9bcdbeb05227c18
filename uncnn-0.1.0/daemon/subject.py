"""The photo that the worker is at: what was found in it and what was done."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import TypeAlias

from uncnn.daemon.photos import Photo
from uncnn.daemon.photos.fingerprint import fingerprint, seed
from uncnn.plugins.api import Face, Rotated
from uncnn.plugins.host import Patch, Portrait

Key: TypeAlias = tuple[Face, str, tuple[Face, ...]]
"""A face, what was done to it, and the faces beside it that were cloaked too."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The photo that is worked on, kept while it escalates: what was found and done is not done again."""

    sha256: str
    photo: Photo
    faces: list[Face]
    rotated: Rotated  # whether faces at any angle were looked for
    fingerprint: str
    seed: int  # where its random numbers begin
    patches: dict[Key, Patch] = field(default_factory=dict)

    @classmethod
    def of(cls, sha256: str, photo: Photo, faces: list[Face], rotated: Rotated = False) -> Subject:
        """Return a photo that nothing was done to yet."""
        return cls(sha256, photo, faces, rotated, fingerprint(photo), seed(photo))

    def portrait(self, key: Key, at_work: Container[Face]) -> Portrait:
        """Return a face for the attack, seen with what was done to those beside it that are not `at_work` too."""
        face, _, others = key
        latest = {known: patch for (known, _, _), patch in self.patches.items()}
        standing = tuple(latest[other] for other in others if other in latest and other not in at_work)
        return Portrait(self.photo.pixels, face, self.seed, self.photo.grey, others, standing)
