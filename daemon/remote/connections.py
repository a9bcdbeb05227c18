"""How frames get to a server and back: by a process of ssh, or by TLS. Either is two descriptors and its last words."""

from __future__ import annotations

import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Protocol

from uncnn.daemon.config.servers import Address
from uncnn.daemon.remote.access import AccessError, known_key
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError

_LAST_WORDS_SECONDS: Final = 2.0  # ssh says why it ends, and ends
_KEPT: Final = 2000  # characters of what ssh says


class LinkError(UncnnError):
    """A server that cannot be reached, or no longer, or that does not do as uncnn does."""


class Connection(Protocol):
    """A way to one server and back."""

    source: int
    sink: int
    """Descriptors, which wait."""

    def close(self) -> None:
        """End it, from any thread; who reads from `source` then meets its end."""

    def last_words(self) -> str:
        """Return what was said last of why it ended, in one line; empty: nothing was."""


def connection_to(address: Address, data: Path) -> Connection:
    """Return a connection to a server, begun; `data` is the folder of the user's access keys.

    Raises LinkError.
    """
    if address.scheme == "ssh":
        return SshConnection(address)
    try:
        key = known_key(data, address)
    except AccessError as error:
        raise LinkError(f"{address.text}: {error}") from error
    if key is None:
        raise LinkError(
            f"{address.text}: its access key is not kept on this machine: uncnn-daemon config add-server {address.text}"
        )
    from uncnn.daemon.remote.tls import TlsConnection  # asyncio and ssl: 10 MB that who uses ssh does without

    return TlsConnection(address, key)


class SshConnection:
    """A process of ssh that runs uncnn over there."""

    def __init__(self, address: Address) -> None:
        """Start it. Raises LinkError."""
        command = address.command()
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise LinkError(f"{address.text}: {command[0]} cannot be run: {error.strerror}") from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.sink, self.source = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._heard = ""
        self._listener = threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True)
        self._listener.start()

    def close(self) -> None:
        """End the process."""
        with suppress(OSError):
            self.process.kill()
        self.process.wait()

    def last_words(self) -> str:
        """Return the last line that ssh, or the other side, said on standard error."""
        self._listener.join(_LAST_WORDS_SECONDS)
        return printable(next(iter(self._heard.strip().splitlines()[-1:]), ""))

    def _listen(self, errors: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            for line in iter(lambda: errors.readline(_KEPT), b""):
                self._heard = (self._heard + line.decode(errors="replace"))[-_KEPT:]
