"""What a client asks of a server, and how that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from uncnn.daemon.remote.frames import Frame, send
from uncnn.plugins.api import UncnnError


class ServingError(UncnnError):
    """A request that this server cannot serve."""


class Work(BaseModel):
    """What is asked to be done to the faces of a frame."""

    model_config = ConfigDict(extra="forbid", strict=True)

    attack: str
    parameters: dict[str, Any]
    strength: str


@dataclass(frozen=True, slots=True)
class Pipes:
    """The two ends of a connection."""

    source: int
    sink: int

    def say(self, content: bytes = b"", **said: Any) -> None:
        """Send a frame. Raises FrameError."""
        send(self.sink, Frame(said, content))
