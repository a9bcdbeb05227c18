"""How it stands with the servers that change faces, as a run of the service says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerState:
    """How it stands with a server."""

    address: str  # as a person wrote it
    device: str = ""  # that changes faces there; empty: it is not connected
    problem: str = ""  # why it was not of use when it was last asked; empty: it was, or was not asked yet
