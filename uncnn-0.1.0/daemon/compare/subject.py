"""What is compared: the photo, or one of its faces, in both versions."""

from __future__ import annotations

from dataclasses import dataclass

from uncnn.daemon.verify.visibility import Visibility
from uncnn.plugins.api import Pixels


@dataclass(frozen=True, slots=True)
class Subject:
    """The photo or one of its faces in both versions, as large as they are shown, and how far they differ."""

    name: str
    original: Pixels
    copy: Pixels
    looks: Visibility
    box: tuple[float, float, float, float] | None = None  # of a face, photo pixels
