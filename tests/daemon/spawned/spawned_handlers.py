"""Handlers that a spawned test process can import."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from uncnn.daemon.protect.wire import Ask, Handlers, Report, Stage
from uncnn.plugins.api import UncnnError


@dataclass(frozen=True, slots=True)
class Counted:
    """How far was counted, and where."""

    to: int
    pid: int


@dataclass(frozen=True, slots=True)
class Count(Ask[Counted]):
    to: int


@dataclass(frozen=True, slots=True)
class Act(Ask[bool]):
    """Do what it says; the answer is whether torch is loaded."""

    how: str


@dataclass(frozen=True, slots=True)
class Lie(Ask[int]):
    """Answer with what is no number."""


@dataclass(frozen=True, slots=True)
class Unheard(Ask[int]):
    """Nobody answers this."""


def make_obedient() -> Handlers:
    """Do what the message says."""

    def count(asked: Count, report: Report) -> Counted:
        for number in range(asked.to):
            report(Stage("counting", number, asked.to))
        return Counted(asked.to, os.getpid())

    def act(asked: Act, _report: Report) -> bool:
        if asked.how == "refuse":
            raise UncnnError("the photo is upside down: turn it")
        if asked.how == "stumble":
            raise ZeroDivisionError("by nought")
        if asked.how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if asked.how == "leave":
            sys.stdout.flush()
            os._exit(3)
        if asked.how == "hang":
            time.sleep(600)
        return "torch" in sys.modules

    return {Count: count, Act: act, Lie: lambda _asked, _report: "many"}


def make_broken() -> Handlers:
    """Fail to start."""
    raise UncnnError("the weights are missing: put them there")


def make_slow_to_end() -> Handlers:
    """Say whether garbage is collected, print a word, and take a minute to clear away."""
    atexit.register(time.sleep, 60)

    def act(_asked: Act, _report: Report) -> bool:
        sys.stdout.write("printed")
        return gc.isenabled()

    return {Act: act}


@dataclass(frozen=True, slots=True)
class Decode(Ask[None]):
    """Decode a file on a machine with so much memory."""

    limit: int
    file: Path | None


def make_decoder() -> Handlers:
    from uncnn.daemon.photos import decode, needs

    def handle(asked: Decode, _report: Report) -> None:
        needs.process_limit = lambda: asked.limit
        if asked.file is not None:
            decode(asked.file.read_bytes(), "photo")

    return {Decode: handle}
