"""What is wrong with a video file, for a person."""

from __future__ import annotations

from typing import Literal

from uncnn.plugins.api import UncnnError

Kind = Literal["not-a-video", "damaged", "unsupported", "too-large", "changed"]


class VideoError(UncnnError):
    """A video that cannot be taken: the message names it, and what to do."""

    fault = "photo"

    def __init__(self, kind: Kind, message: str) -> None:
        """Keep what is wrong."""
        super().__init__(message)
        self.kind = kind
