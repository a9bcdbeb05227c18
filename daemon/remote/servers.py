"""The servers of a person: the least loaded is asked, another one where that fails or stands still, then nobody."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from uncnn.daemon.config.servers import Address
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.remote.connections import LinkError
from uncnn.daemon.remote.frames import Frame
from uncnn.daemon.remote.hello import Hello
from uncnn.daemon.remote.link import Link, Progress, ServerRefused
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError

HEDGE_SECONDS: Final = 20.0  # without a step: another server is asked too
REST_SECONDS: Final = 30.0  # until one that failed is asked again; twice as long each time
LONGEST_REST_SECONDS: Final = 600.0
_MOST_LOAD: Final = 1e6


class ServersUnavailable(UncnnError):
    """No server does what is asked, for the reasons that the message names."""


@dataclass(slots=True)
class Server:
    """One server: its connection, and how often it failed."""

    address: Address
    data: Path  # the folder of the user's access keys
    link: Link | None = None
    load: float = 0.0
    failures: int = 0
    rests_until: float = 0.0
    problem: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self, hello: Hello) -> Link:
        """Return the connection, made where there is none. Raises LinkError."""
        with self.lock:
            if self.link is None:
                self.link = Link(self.address, hello, self.data)
                self.load = self.link.welcome.load
            return self.link

    def failed(self, problem: str) -> None:
        """Leave it alone for a while."""
        self.failures += 1
        self.problem = problem
        rest = REST_SECONDS * 2 ** min(self.failures - 1, 10)
        self.rests_until = time.monotonic() + min(rest, LONGEST_REST_SECONDS)
        self.drop()

    @property
    def state(self) -> ServerState:
        """Return how it stands with it."""
        link = self.link
        return ServerState(self.address.text, "" if link is None else link.welcome.device, self.problem)

    def drop(self) -> None:
        """Disconnect, from any thread."""
        link, self.link = self.link, None
        if link is not None:
            link.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    server: Server
    frame: Frame

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a person should know of the attack."""
        notes = self.frame.said.get("notes")
        return tuple(printable(str(note)[:500]) for note in notes[:10]) if isinstance(notes, list) else ()


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one of those that are asked sent: a step, an answer or a failure."""

    server: Server
    step: tuple[int, int] | None = None
    answer: Frame | None = None
    error: LinkError | None = None


class Servers:
    """All servers that a person named."""

    def __init__(self, addresses: Sequence[Address], hello: Hello, data: Path) -> None:
        """Nobody is asked yet; `data` is the folder of the user's access keys."""
        self._servers = [Server(address, data) for address in addresses]
        self._hello = hello

    def connect(self) -> None:
        """Begin to connect to all of them, so that they load their models while something else is done."""
        for server in self._servers:
            threading.Thread(target=self._connect, args=(server,), daemon=True).start()

    def _connect(self, server: Server) -> None:
        try:
            server.connect(self._hello)
        except LinkError as error:
            server.failed(str(error))

    def changed(self, asked: Frame, progress: Progress, seconds: float) -> Answer:
        """Return the first answer: of the least loaded server, or of one more where that fails or stands still.

        Raises:
            ServersUnavailable: there is none, or not within so many `seconds`.
        """
        heard: queue.Queue[_Heard] = queue.Queue()
        over = threading.Event()
        deadline = time.monotonic() + seconds
        with self._asking(over) as at_work:
            for server in self._by_load()[:2]:
                at_work.append(server)
                threading.Thread(target=self._ask, args=(server, asked, heard, over), daemon=True).start()
                answer = _first(heard, at_work, progress, deadline)
                if answer is not None:
                    return answer
                if time.monotonic() >= deadline:
                    break
            answer = _first(heard, at_work, progress, deadline, patient=True)
            if answer is not None:
                return answer
        reasons = "; ".join(dict.fromkeys(server.problem for server in self._servers if server.problem))
        raise ServersUnavailable(reasons or f"no server answered in {seconds:.0f} s")

    @property
    def seen(self) -> tuple[ServerState, ...]:
        """Return how it stands with each."""
        return tuple(server.state for server in self._servers)

    def close(self) -> None:
        """Disconnect from all."""
        for server in self._servers:
            server.drop()

    def _by_load(self) -> list[Server]:
        now = time.monotonic()
        return sorted((each for each in self._servers if each.rests_until <= now), key=lambda each: each.load)

    @contextmanager
    def _asking(self, over: threading.Event) -> Iterator[list[Server]]:
        """Yield a list for those that are asked; who is left in it at the end, another having answered, is let go.

        `over` is set first: whoever is only being connected to until then is not asked this any more.
        """
        at_work: list[Server] = []
        try:
            yield at_work
        finally:
            over.set()
            for server in at_work:
                server.drop()

    def _ask(self, server: Server, asked: Frame, heard: queue.Queue[_Heard], over: threading.Event) -> None:
        """Ask one server, in a thread of its own, which is the only one that speaks with it until all is `over`."""
        try:
            link = server.connect(self._hello)
            if over.is_set():
                return
            frame = link.changed(asked, lambda *step: heard.put(_Heard(server, step=step)))
        except LinkError as error:
            heard.put(_Heard(server, error=error))
        except Exception as error:  # whoever waits must hear of it
            heard.put(_Heard(server, error=LinkError(f"{server.address.text}: {type(error).__name__}: {error}")))
        else:
            heard.put(_Heard(server, answer=frame))


def _first(
    heard: queue.Queue[_Heard], at_work: list[Server], progress: Progress, deadline: float, patient: bool = False
) -> Answer | None:
    """Return the first answer; None: all of `at_work` failed, or, unless `patient`, none came further for a while."""
    furthest, waited_until = -1, time.monotonic() + HEDGE_SECONDS
    while at_work:
        until = deadline if patient else min(deadline, waited_until)
        try:
            one = heard.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return None
        if one.server not in at_work:
            continue
        if one.step is not None:
            progress(*one.step)
            if one.step[0] > furthest:
                furthest, waited_until = one.step[0], time.monotonic() + HEDGE_SECONDS
            elif time.monotonic() > until:  # it says much and does nothing
                return None
            continue
        at_work.remove(one.server)
        if one.answer is not None:
            return _accepted(one.server, one.answer)
        _note(one.server, one.error)
    return None


def _accepted(server: Server, frame: Frame) -> Answer:
    server.failures, server.problem = 0, ""
    load = frame.said.get("load")
    if isinstance(load, float) and 0 <= load < _MOST_LOAD:
        server.load = load
    return Answer(server, frame)


def _note(server: Server, error: LinkError | None) -> None:
    """Leave a server alone that failed; one that only refused this stays connected, and is asked the next thing."""
    if isinstance(error, ServerRefused) and server.link is not None:
        server.problem = str(error)
    else:
        server.failed(str(error))
