"""One server that is connected to: what is asked of it, and how what it answers is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from uncnn.daemon.config.servers import Address
from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.remote.connections import LinkError, connection_to
from uncnn.daemon.remote.frames import Frame, FrameError, receive, send
from uncnn.daemon.remote.hello import Hello, Welcome
from uncnn.daemon.remote.remedies import remedy
from uncnn.daemon.text import printable

START_SECONDS: Final = 120.0  # until torch and the models are loaded there
SILENCE_SECONDS: Final = 60.0  # between one step of an attack and the next
STANDSTILL_SECONDS: Final = 600.0  # of steps that come no further: some attacks go on after the last one they count
MOST_STEPS: Final = 1_000_000  # that a server counts
_KEPT: Final = 2000  # characters of what a server says

Progress = Callable[[int, int], None]
"""Called with the steps done and how many there are."""


class ServerRefused(LinkError):
    """A server that says why it does not do what is asked."""


class Link:
    """A server that is connected to and has its models loaded."""

    def __init__(self, address: Address, hello: Hello, data: Path) -> None:
        """Connect; `data` is the folder of the user's access keys. Raises LinkError."""
        self.address, self._reached = address, False
        self.connection = connection_to(address, data)
        try:
            said = self._ask(Frame({"hello": hello.model_dump()}), START_SECONDS).said.get("welcome")
            self.welcome = Welcome.model_validate(said)
            self._reached = True
        except ValidationError as error:
            self.close()
            raise LinkError(f"{address.text}: it answers as no server of uncnn's does") from error
        except BaseException:
            self.close()
            raise

    def changed(self, asked: Frame, progress: Progress) -> Frame:
        """Return a server's answer. Raises ServerRefused; LinkError: and the connection is of no use any more."""
        return self._ask(asked, SILENCE_SECONDS, progress)

    def close(self) -> None:
        """Disconnect, from any thread; who waits for an answer has LinkError."""
        self.connection.close()

    def _ask(self, asked: Frame, seconds: float, progress: Progress | None = None) -> Frame:
        furthest, until = -1, time.monotonic() + STANDSTILL_SECONDS
        try:
            send(self.connection.sink, asked, seconds)
            while (answer := receive(self.connection.source, seconds)) is not None:
                if "progress" not in answer.said:
                    return self._accepted(answer)
                step, steps = (int(each) for each in answer.said["progress"])
                if not 0 <= step <= steps <= MOST_STEPS:
                    raise ValueError
                if step > furthest:
                    furthest, until = step, time.monotonic() + STANDSTILL_SECONDS
                elif time.monotonic() > until:
                    raise LinkError(
                        f"{self.address.text}: it counts and has come no further for {STANDSTILL_SECONDS:.0f} s"
                    )
                if progress is not None:
                    progress(step, steps)
        except FrameError as error:
            raise self._lost(str(error)) from error
        except (TypeError, ValueError, OverflowError) as error:
            raise LinkError(f"{self.address.text}: it sends what is no frame of uncnn's") from error
        raise self._lost("it ended" if self._reached else "it ended before it was ready")

    def _lost(self, how: str) -> LinkError:
        """Return what is said of a connection that is lost so; one that never was is not reached, if it says why."""
        words = self._words()
        return LinkError(f"{self.address.text}: {'not reached' if words and not self._reached else how}{words}")

    def _accepted(self, answer: Frame) -> Frame:
        """Return an answer that is no error. Raises ServerRefused, LinkError."""
        if "error" not in answer.said:
            return answer
        try:
            error = RequestError.read(answer.said["error"])
        except (TypeError, KeyError, AttributeError, ValueError) as wrong:
            raise LinkError(f"{self.address.text}: it sends what is no frame of uncnn's") from wrong
        raise ServerRefused(f"{self.address.text}: {printable(str(error)[:_KEPT])}")

    def _words(self) -> str:
        words = self.connection.last_words()
        said = f" ({words})" if words else ""
        help = "" if self._reached else remedy(self.address, words)
        return f"{said}: {help}" if help else said
