"""What keeps a camera, a file or a device from being used, for a person."""

from __future__ import annotations

from uncnn.plugins.api import UncnnError


class LiveError(UncnnError):
    """A source or a sink that cannot be used: the message names it, and what to do."""

    def __init__(self, kind: str, message: str) -> None:
        """Keep what is wrong; `kind` is for programs."""
        super().__init__(message)
        self.kind = kind
