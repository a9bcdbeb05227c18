"""What the service tells systemd: ready, what it does, that it is alive (sd_notify(3)). Nothing where none listens."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(**fields: str) -> None:
    """Send fields such as READY="1" to the socket that $NOTIFY_SOCKET names."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    text = "\n".join(f"{name}={' '.join(value.split())}" for name, value in fields.items())
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(text.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def watchdog_seconds() -> float | None:
    """Return how often systemd wants to hear of the service at least ($WATCHDOG_USEC), or None."""
    wanted = os.environ.get("WATCHDOG_USEC", "")
    own = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(wanted) / 1e6 if wanted.isdecimal() and own else None
