"""The service's side of the control socket: a thread that accepts commands of the same user, and one for each of them.

Whatever a command says, or leaves out, ends its own connection and nothing else.
"""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import ValidationError

from uncnn.daemon.control.address import listening, refuse_others, socket_file
from uncnn.daemon.control.channel import Channel, ChannelError, close_all
from uncnn.daemon.control.contents import copied_photos, opened_results
from uncnn.daemon.control.messages import (
    ASKED_OF_PROCESSES,
    Footing,
    Join,
    Joined,
    NameModels,
    Reload,
    Reloaded,
    Scan,
    Scanned,
    Start,
    Started,
)
from uncnn.daemon.control.shared_engine import EngineUnavailable, SharedEngine
from uncnn.daemon.protect.messages import Change, Look
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.wire import Ask, Handlers, Report, RequestError, Stage, pack_answer, unpack
from uncnn.plugins.api import UncnnError

MOST_COMMANDS: Final = 4
"""At once; another one is told to use processes of its own."""

JOIN_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 300.0
"""Between two messages of a command, which copies its photos meanwhile."""

LONGEST_QUESTION: Final = 32_000_000
"""Bytes: the embeddings of enrolled people, and what both looks saw in a photo of a crowd."""

_UNDERSTOOD: Final[Handlers] = {
    kind: lambda _asked, _report: None for kind in (Join, NameModels, Start, Reload, Scan, *ASKED_OF_PROCESSES)
}


class Requests(Protocol):
    """What the service itself does for commands; any thread may ask. Both raise UncnnError: it takes too long."""

    def reload(self) -> Reloaded:
        """Have the configuration read again."""

    def scan(self) -> Scanned:
        """Have all folders looked at."""


class Reception:
    """Answers commands until it is closed."""

    def __init__(self, engine: SharedEngine, requests: Requests) -> None:
        """Listen from now on. Raises OSError: there can be no socket here. FolderError."""
        self._engine = engine
        self._requests = requests
        self._room = threading.Semaphore(MOST_COMMANDS)
        self._channels: set[Channel] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._file = socket_file()
        self._socket = listening()
        threading.Thread(target=self._accept, name="uncnn-reception", daemon=True).start()

    def close(self) -> None:
        """Take no more commands, and let go of those that are here."""
        self._closed = True
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # which ends `accept`
        self._socket.close()
        with self._lock:
            for channel in self._channels:
                channel.end()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed; or too many files are open, which may pass
                time.sleep(0 if self._closed else 0.5)
                continue
            try:
                refuse_others(connection)
                self._admit(Channel(connection))
            except (OSError, RuntimeError):  # another user's; or no thread can be started
                connection.close()

    def _admit(self, channel: Channel) -> None:
        """Let a command in where there is room."""
        if not self._room.acquire(blocking=False):
            _refuse(channel, f"{MOST_COMMANDS} commands use the service at present")
            channel.close()
            return
        with self._lock:
            self._channels.add(channel)
        try:
            threading.Thread(target=self._attend, args=[channel], name="uncnn-command", daemon=True).start()
        except RuntimeError:
            self._see_off(channel)
            raise

    def _attend(self, channel: Channel) -> None:
        try:
            Guest(channel, self._engine, self._requests).attend()
        except EOFError:  # it is done
            pass
        except (UncnnError, OSError) as error:
            _refuse(channel, str(error))
        except Exception as error:  # it costs this command its connection, and nobody else anything
            _refuse(channel, f"internal error, {type(error).__name__}: {error}; please report it")
        finally:
            self._see_off(channel)

    def _see_off(self, channel: Channel) -> None:
        with self._lock:
            self._channels.discard(channel)
            channel.close()
        self._room.release()


class Guest:
    """A command at the socket."""

    def __init__(self, channel: Channel, engine: SharedEngine, requests: Requests) -> None:
        """It has said nothing yet."""
        self._channel = channel
        self._engine = engine
        self._requests = requests
        self._footing: Footing | None = None
        self._models: str | None = None  # that the first call was made with
        self._hears = True

    def attend(self) -> None:
        """Answer its messages until it goes.

        Raises EOFError: it went. UncnnError: it cannot be answered, and says nothing else that could be.
        """
        while True:
            patience = JOIN_SECONDS if self._footing is None else IDLE_SECONDS
            document, files = self._channel.receive(patience, LONGEST_QUESTION)
            try:
                self._answer(_understood(document), files)
            except RequestError as error:
                self._send({"error": error.values})
            finally:
                close_all(files)

    def _answer(self, asked: Ask[Any], files: list[int]) -> None:
        """Send the answer to a message. Raises RequestError: it is refused. UncnnError: the connection is of no use."""
        if isinstance(asked, Join):
            self._engine.spool_for(asked.footing)
            self._footing = asked.footing
            self._reply(asked, Joined())
            return
        if isinstance(asked, Reload):
            self._reply(asked, self._requests.reload())
            return
        if isinstance(asked, Scan):
            self._reply(asked, self._requests.scan())
            return
        if self._footing is None:
            raise ChannelError(f"the first message is {type(asked).__name__}, not Join")
        if isinstance(asked, NameModels):
            with self._lent(self._footing) as engine:
                roster = engine.roster
            self._reply(asked, roster)
        elif isinstance(asked, Start):
            with self._lent(self._footing) as engine:
                started = Started(self._engine.load(engine), engine.providers, engine.protection)
            self._reply(asked, started)
        else:
            self._have_done(asked, self._footing, files)

    def _have_done(self, asked: Ask[Any], footing: Footing, files: list[int]) -> None:
        """Let the processes do something with copies of the photos, and send what they made of them."""
        spool, made = self._engine.spool_for(footing), list[int]()
        try:
            with tempfile.TemporaryDirectory(dir=spool, ignore_cleanup_errors=True) as own:
                folder = Path(own)
                taken = copied_photos(asked, files, folder)
                with self._lent(footing, isinstance(taken, Look)) as engine:
                    answered = _asked_of(engine, taken, self._report)
                named = opened_results(answered, folder, made)
            self._reply(asked, named, made)
        finally:
            close_all(made)

    @contextmanager
    def _lent(self, footing: Footing, new_photo: bool = False) -> Iterator[ProcessEngine]:
        """Give the engine for a call. Raises EngineUnavailable: also where its models are not those of the last one."""
        with self._engine.lent(footing, new_photo) as engine:
            models = engine.roster.digest()
            if self._models not in {None, models}:
                raise EngineUnavailable("the models of the service were changed meanwhile")
            self._models = models
            yield engine

    def _report(self, stage: Stage) -> None:
        """Tell it how far its photo is, where it listens: nobody waits for that with the engine in hand."""
        if self._hears:
            self._hears = self._channel.send_if_free(json.dumps({"progress": asdict(stage)}).encode())

    def _reply(self, asked: Ask[Any], answered: Any, files: list[int] | None = None) -> None:
        self._send({"result": pack_answer(asked, answered)}, files or [])

    def _send(self, said: dict[str, Any], files: list[int] | None = None) -> None:
        if not self._hears:
            raise ChannelError("the command took no progress")
        self._channel.send(json.dumps(said).encode(), files or [])


def _asked_of(engine: ProcessEngine, asked: Ask[Any], report: Report) -> Any:
    if isinstance(asked, Look):
        return engine.look(asked)
    if isinstance(asked, Change):
        return engine.change(asked, report)
    return engine.judge(asked)


def _understood(document: bytes) -> Ask[Any]:
    """Return the message that a document is. Raises UncnnError: it is none."""
    try:
        return unpack(_UNDERSTOOD, document)
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise ChannelError("what came is no message of this version of uncnn") from error


def _refuse(channel: Channel, words: str) -> None:
    with suppress(UncnnError):  # it is gone
        channel.send(json.dumps({"refused": words}).encode())
