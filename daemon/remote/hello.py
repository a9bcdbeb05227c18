"""What a client and a server say first: whether they are the same uncnn with the same models, and how busy one is."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from uncnn.plugins.api import UncnnError

PROTOCOL: Final = 1


class VersionError(UncnnError):
    """The two sides are not the same uncnn."""


class Hello(BaseModel):
    """What a client says first."""

    model_config = ConfigDict(extra="forbid")

    protocol: int = PROTOCOL
    version: str = Field(default_factory=lambda: version("uncnn"))
    surrogates: tuple[tuple[str, str], ...]  # the name and the sha256 of each, in the order they are attacked

    def check_version(self) -> None:
        """Refuse another version. Raises VersionError."""
        own = version("uncnn")
        if (self.protocol, self.version) != (PROTOCOL, own):
            raise VersionError(f"the server has uncnn {own}, this machine {self.version}: install the same on both")


class Welcome(BaseModel):
    """What a server says when its models are loaded."""

    model_config = ConfigDict(extra="forbid")

    device: str
    load: float  # processes that want a core, a core


def load_now() -> float:
    """Return how many processes want a core, for each core."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
