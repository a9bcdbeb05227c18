"""Where the control socket is, and who may be at its other end: processes of the same user alone."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from uncnn.daemon.files.folders import state_dir
from uncnn.plugins.system import O_CLOEXEC, O_DIRECTORY, O_PATH

NAME: Final = "control.sock"
_WAITING: Final = 8
"""So many connections may wait to be accepted."""

_CONNECT_SECONDS: Final = 5.0
_CREDENTIALS: Final = struct.Struct("iII")  # `struct ucred`: process, user, group
_FOLDER: Final = O_PATH | O_DIRECTORY | O_CLOEXEC


def socket_file() -> Path:
    """Return where the socket of this state folder is. Raises FolderError."""
    return state_dir() / NAME


def listening() -> socket.socket:
    """Return the listening socket, with mode 0600, in the place of one that a killed run left; hold the run's lock.

    Raises OSError: there can be none here. FolderError.
    """
    socket_file().unlink(missing_ok=True)
    opened = _unconnected()
    try:
        os.fchmod(opened.fileno(), 0o600)  # before it has a name
        with _short(socket_file()) as name:
            opened.bind(name)
        opened.listen(_WAITING)
    except OSError:
        opened.close()
        raise
    return opened


def connected() -> socket.socket:
    """Return a connection to the service of this state folder. Raises OSError: there is none. FolderError."""
    opened = _unconnected()
    opened.settimeout(_CONNECT_SECONDS)  # others may wait to be accepted by a service that is stopped
    try:
        with _short(socket_file()) as name:
            opened.connect(name)
        refuse_others(opened)
    except OSError:
        opened.close()
        raise
    return opened


def refuse_others(connection: socket.socket) -> None:
    """Raise PermissionError where the process at the other end is another user's."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(said)
    if user != os.geteuid():
        raise PermissionError(f"the other end of the control socket belongs to another user, {user}")


def _unconnected() -> socket.socket:
    if not hasattr(socket, "SO_PEERCRED"):
        raise OSError("this system does not say whose process is at the other end of a socket")
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)


@contextmanager
def _short(file: Path) -> Iterator[str]:
    """Give a name for a socket's file that fits into the 108 bytes of an address, however deep its folder lies."""
    folder = os.open(file.parent, _FOLDER)
    try:
        yield f"/proc/self/fd/{folder}/{file.name}"
    finally:
        os.close(folder)
