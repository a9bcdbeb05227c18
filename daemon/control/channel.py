"""Documents and open files over a connected UNIX socket, each with a length and a limit: the other end may be broken.

A document is preceded by its length and the number of its descriptors, which travel with these eight bytes.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final

from uncnn.plugins.api import UncnnError

LONGEST: Final = 64_000_000
"""Bytes of a document: the verdict on a crowd has some millions."""

MOST_FILES: Final = 16
"""Descriptors of a document."""

WHOLE_SECONDS: Final = 10.0
"""Within that a document that has begun arrives, or is taken by the other end."""

_HEAD: Final = struct.Struct("!II")
_CHUNK: Final = 1 << 20


class ChannelError(UncnnError):
    """The other end said what is no document, said nothing for too long, or is gone."""


class Channel:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected socket."""
        self._socket = connection

    def send(self, document: bytes, files: Sequence[int] = ()) -> None:
        """Send a document and duplicates of open files. Raises ChannelError."""
        if len(document) > LONGEST or len(files) > MOST_FILES:
            raise ChannelError(f"a document of {len(document)} bytes and {len(files)} files cannot be sent")
        head = _HEAD.pack(len(document), len(files))
        self._socket.settimeout(WHOLE_SECONDS)
        try:
            if files:
                socket.send_fds(self._socket, [head], list(files))
            self._socket.sendall(document if files else head + document)
        except OSError as error:
            raise ChannelError(f"the other end of the control socket does not take the answer: {error}") from error

    def send_if_free(self, document: bytes) -> bool:
        """Send a short document at once or not at all; return whether the connection is of use for others yet."""
        whole = _HEAD.pack(len(document), 0) + document
        self._socket.settimeout(0.0)
        try:
            return self._socket.send(whole) == len(whole)
        except BlockingIOError:
            return True
        except OSError:
            return False

    def receive(self, patience_seconds: float, longest: int = LONGEST) -> tuple[bytes, list[int]]:
        """Return the next document, which begins within so many seconds, and its descriptors, which the caller closes.

        `longest`: bytes that it may have.

        Raises EOFError: the other end closed the connection. ChannelError.
        """
        files: list[int] = []
        try:
            length, count = _HEAD.unpack(self._head(files, patience_seconds))
            if length > longest:
                raise ChannelError(f"a document of {length} bytes was announced, {longest} is the limit")
            if count != len(files):
                raise ChannelError(f"a document with {count} files came with {len(files)}")
            return self._body(length), files
        except BaseException as error:
            close_all(files)
            if isinstance(error, TimeoutError):
                raise ChannelError("the other end of the control socket says nothing") from error
            if isinstance(error, OSError):
                raise ChannelError(f"the control socket failed: {error}") from error
            raise

    def _head(self, files: list[int], patience_seconds: float) -> bytes:
        """Return the first eight bytes; the descriptors that come with them are put into `files`."""
        head = b""
        self._socket.settimeout(patience_seconds)
        while len(head) < _HEAD.size:
            part, new, flags, _ = socket.recv_fds(
                self._socket, _HEAD.size - len(head), MOST_FILES, socket.MSG_CMSG_CLOEXEC
            )
            files += new
            if flags & socket.MSG_CTRUNC or len(files) > MOST_FILES:
                raise ChannelError(f"more than {MOST_FILES} files came with a document")
            if not part:
                if not head:
                    raise EOFError
                raise ChannelError("the other end was closed in the middle of a document")
            head += part
            self._socket.settimeout(WHOLE_SECONDS)
        return head

    def _body(self, length: int) -> bytes:
        """Return so many bytes; memory is taken for what has come, not for what was announced."""
        body, deadline = bytearray(), time.monotonic() + WHOLE_SECONDS
        while len(body) < length:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            part = self._socket.recv(min(length - len(body), _CHUNK))
            if not part:
                raise ChannelError("the other end was closed in the middle of a document")
            body += part
        return bytes(body)

    def end(self) -> None:
        """Let both ends notice that it is over, from any thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is already
            return

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


def close_all(files: Sequence[int]) -> None:
    """Close open files."""
    for each in files:
        os.close(each)
