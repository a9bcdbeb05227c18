"""What is compared: the photo, or one of its faces, in both versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uncnn.daemon.verify.jod import Visibility
from uncnn.plugins.api import Pixels


@dataclass(frozen=True, slots=True)
class ComparedRegion:
    """The photo or one of its faces in both versions, as large as they are shown, and how far they differ."""

    name: str
    original: Pixels
    copy: Pixels
    visibility: Visibility
    jod: Mapping[str, float]  # of the photo on `phone` and `desktop`, of a face at `zoom`
    box: tuple[float, float, float, float] | None = None  # of a face, photo pixels
