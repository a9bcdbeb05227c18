"""A server that is reached by https://: lets clients with the token in, each to a `serve --stdio` of its own.

This process sees no face: it hands on bytes. The processes enter their sandbox as those that ssh starts do.
"""

from __future__ import annotations

import asyncio
import hmac
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from uncnn.daemon.output import ERROR, OK
from uncnn.daemon.remote.certificate import Identity
from uncnn.daemon.remote.tls import keep_alive, plain_words
from uncnn.daemon.remote.upgrade import MOST_HEAD, PATH, PROTOCOL, Head, NoHead, Streams, close, read_head, relay

HEAD_SECONDS: Final = 10.0
MOST_UNKNOWN: Final = 64
"""So many connections may be open that have not shown the token."""

ENDPOINT: Final = (sys.executable, "-P", "-m", "uncnn", "serve", "--stdio", "--device")


def listen(
    identity: Identity,
    hosts: list[str] | None,
    port: int,
    device: str,
    at_once: int,
    begun: Callable[[int], None] = lambda _port: None,
) -> int:
    """Serve clients until SIGTERM or Ctrl-C, `at_once` at most; return the exit status.

    `hosts` are this machine's addresses to listen at, None all of them; `begun` is told the port. Raises AccessError.
    """
    return asyncio.run(Listener(identity, device, at_once).listen(hosts, port, begun))


class Listener:
    """One server and its clients."""

    def __init__(self, identity: Identity, device: str, at_once: int) -> None:
        """Nobody is let in yet."""
        self._identity, self._device, self._at_once = identity, device, at_once
        self._unknown = self._clients = 0
        self._met = set[asyncio.Task[None]]()

    async def listen(self, hosts: list[str] | None, port: int, begun: Callable[[int], None]) -> int:
        """Let clients in until a signal ends it; return the exit status. Raises AccessError."""
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        context = self._identity.context()
        try:
            server = await asyncio.start_server(
                self._begin, hosts, port, ssl=context, limit=MOST_HEAD, ssl_handshake_timeout=HEAD_SECONDS
            )
        except OSError as error:
            where = f"port {port}" if hosts is None else f"port {port} of {', '.join(hosts)}"
            remedy = "end what listens there, or choose another port or address of this machine with --listen"
            _say(f"uncnn-daemon: {where} cannot be listened at: {plain_words(error)}; {remedy}")
            return ERROR
        bound = server.sockets[0].getsockname()[1]
        begun(bound)
        _say(f"listening on port {bound}, for {self._at_once} clients at once; Ctrl-C ends it")
        await stopped.wait()
        server.close()
        for task in self._met:
            task.cancel()
        await asyncio.gather(*self._met, return_exceptions=True)
        return OK

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._meet(reader, writer))
        self._met.add(task)
        task.add_done_callback(self._met.discard)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        who = str(writer.get_extra_info("peername", ("?",))[0])
        try:
            if self._unknown < MOST_UNKNOWN and await self._let_in((reader, writer), who):
                await self._serve((reader, writer), who)
        except ConnectionError:
            pass
        finally:
            await close(writer)

    async def _let_in(self, client: Streams, who: str) -> bool:
        """Return whether a client has shown the token, and there is room for it; it is answered."""
        self._unknown += 1
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                refused = self._refused(await read_head(client[0]))
                if refused is not None:
                    client[1].write(_answer(refused, "Connection: close", "Content-Length: 0"))
                    await client[1].drain()
                    _say(f"{who}: {refused}")
        except (NoHead, TimeoutError):
            return False
        finally:
            self._unknown -= 1
        return refused is None

    def _refused(self, asked: Head) -> str | None:
        """Return the status and the reason with which a client is refused, None where it is let in."""
        if asked.first[:2] != ("GET", PATH):
            return "404 Not Found"
        if not hmac.compare_digest(asked.fields.get("Authorization", "").encode(), self._identity.key.sent.encode()):
            return "401 another access key"
        if not (asked.has("Upgrade", PROTOCOL) and asked.has("Connection", "upgrade")):
            return "426 Upgrade Required"
        if self._clients >= self._at_once:
            return f"503 {self._at_once} clients are served already (--at-once)"
        return None

    async def _serve(self, client: Streams, who: str) -> None:
        """Serve a client by a process of its own until either ends."""
        self._clients += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *ENDPOINT, self._device, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                keep_alive(client[1])
                client[1].write(_answer("101 Switching Protocols", f"Upgrade: {PROTOCOL}", "Connection: Upgrade"))
                _say(f"{who}: client {self._clients} of {self._at_once}")
                await relay(client, (process.stdout, process.stdin))
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        finally:
            self._clients -= 1
            _say(f"{who}: it ended")


def _answer(status: str, *fields: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *fields, "")).encode("ascii")


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
