"""The socket that systemd hands over to the page: sd_listen_fds(3)."""

from __future__ import annotations

import os
import socket
from typing import Final

_FIRST: Final = 3  # SD_LISTEN_FDS_START


def handed_over() -> socket.socket | None:
    """Return the socket that systemd listens on for this process, None where it does for none. Raises OSError.

    Processes that are started from here do not take it for theirs.
    """
    for_whom, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if for_whom != str(os.getpid()) or count != "1":
        return None
    os.set_inheritable(_FIRST, False)
    return socket.socket(fileno=_FIRST)
