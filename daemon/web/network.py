"""The address by which other devices of the same network reach this machine."""

from __future__ import annotations

import socket
from typing import Final

from uncnn.plugins.api import UncnnError

_FAR: Final = ("192.0.2.1", 9)
"""An address that nobody has (RFC 5737): the system is asked which way it would go, and nothing is sent."""


class NetworkError(UncnnError):
    """There is no network that other devices reach this machine by."""


def own_address() -> str:
    """Return this machine's IPv4 address in its network. Raises NetworkError: it is in none."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_FAR)
            found: str = probe.getsockname()[0]
    except OSError as error:
        raise NetworkError("--lan: this machine is in no network: connect it, or leave --lan out") from error
    if found.startswith("127."):
        raise NetworkError(
            "--lan: this machine has no address but its own: connect it to a network, or leave --lan out"
        )
    return found
