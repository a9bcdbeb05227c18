"""A connection by https://, held fast to one certificate, with a token in its first request."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
import ssl
import threading
from contextlib import suppress
from typing import Final, cast

from uncnn.daemon.config.servers import Address
from uncnn.daemon.remote.access import AccessKey
from uncnn.daemon.remote.upgrade import MOST_HEAD, PATH, PROTOCOL, NoHead, Streams, read_head, relay
from uncnn.daemon.text import printable

CONNECT_SECONDS: Final = 20.0
_LAST_WORDS_SECONDS: Final = 2.0
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))  # as ssh is asked to


class TlsConnection:
    """A thread that hands on frames between a pair of sockets and TLS."""

    def __init__(self, address: Address, key: AccessKey) -> None:
        """Begin to connect: what goes wrong is found in `last_words`, and `source` ends."""
        self._near, far = socket.socketpair()
        self.source = self.sink = self._near.fileno()
        self._words = ""
        self._thread = threading.Thread(target=self._run, args=(address, key, far), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Disconnect. The descriptors stay until nobody holds this any more: another thread may wait for one."""
        with suppress(OSError):
            self._near.shutdown(socket.SHUT_RDWR)

    def last_words(self) -> str:
        """Return why there is no connection."""
        self._thread.join(_LAST_WORDS_SECONDS)
        return self._words

    def _run(self, address: Address, key: AccessKey, far: socket.socket) -> None:
        with far:
            try:
                asyncio.run(_connect_and_relay(address, key, far))
            except TimeoutError:
                self._words = f"no answer in {CONNECT_SECONDS:.0f} s"
            except ssl.SSLError as error:
                self._words = f"it does not speak TLS 1.3 as uncnn does: {error.reason or 'ended'}"
            except (Refused, NoHead) as error:
                self._words = printable(str(error))
            except OSError as error:
                self._words = printable(plain_words(error))


class Refused(Exception):
    """The server is another one, or refuses this client."""


async def _connect_and_relay(address: Address, key: AccessKey, far: socket.socket) -> None:
    async with asyncio.timeout(CONNECT_SECONDS):
        server = await _connected(address, key)
    far.setblocking(False)
    await relay(await asyncio.open_connection(sock=far), server)


async def _connected(address: Address, key: AccessKey) -> Streams:
    """Return a connection over which frames go. Raises Refused, NoHead, OSError."""
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=client_context(), limit=MOST_HEAD)
    try:
        keep_alive(writer)
        _check_certificate(writer, key)
        host = f"[{address.host}]" if ":" in address.host else address.host
        lines = (
            f"GET {PATH} HTTP/1.1",
            f"Host: {host}:{address.port}",
            "Connection: Upgrade",
            f"Upgrade: {PROTOCOL}",
            f"Authorization: {key.sent}",
        )
        writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        head = await read_head(reader)
        if head.first[1] == "401":
            raise Refused("it has another access key than the one that is kept here: uncnn-daemon config add-server")
        if head.first[1] != "101":
            raise Refused(f"it answers {' '.join(head.first[1:])[:200]}")
    except BaseException:
        writer.close()
        raise
    return reader, writer


def client_context() -> ssl.SSLContext:
    """Return what a client demands: TLS 1.3. Whose the certificate is, it looks at itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _check_certificate(writer: asyncio.StreamWriter, key: AccessKey) -> None:
    """Check that the other side is the server whose key this is, before it is told anything. Raises Refused."""
    certificate = cast(ssl.SSLObject, writer.get_extra_info("ssl_object")).getpeercert(binary_form=True)
    if certificate is None or hashlib.sha256(certificate).digest() != key.certificate:
        raise Refused(
            "another machine answers there, or the server has a new access key: nothing was sent to it; if the key is"
            " new: uncnn-daemon config add-server"
        )


def plain_words(error: OSError) -> str:
    """Return what the system says of a connection: asyncio says the address besides, as Python writes it."""
    numbers = [error.errno] if error.errno else [int(each) for each in re.findall(r"\[Errno ([0-9]+)\]", str(error))]
    if isinstance(error, socket.gaierror) or not numbers:
        return error.strerror or str(error)
    return os.strerror(numbers[-1])  # of the last address that a name has


def keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have a connection end where the other machine is gone without a word."""
    opened = writer.get_extra_info("socket")
    with suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE:
            if hasattr(socket, name):  # not everywhere
                opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
