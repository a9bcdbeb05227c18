"""What a photo is protected with: three calls, whoever answers them and wherever that is."""

from __future__ import annotations

from typing import Protocol, TypeVar

from uncnn.daemon.protect.messages import Change, Changed, Look, Looked
from uncnn.daemon.protect.wire import Ask, Report
from uncnn.daemon.sandbox.protection import Protection
from uncnn.exporters.registry.store import Roster

Answer = TypeVar("Answer")


class Engine(Protocol):
    """Looks at photos, changes and judges them: `ProcessEngine` in processes of its own, `InlineEngine` in this one.

    All of its calls raise RequestError, which says whether the photo, the policy or a model is at fault.
    """

    def look(self, asked: Look) -> Looked:
        """Return what there is in a photo."""
        ...

    def change(self, asked: Change, report: Report) -> Changed:
        """Return the photo with its faces changed."""
        ...

    def judge(self, asked: Ask[Answer]) -> Answer:
        """Return what those say who know nothing of the change: of an original, `Review`, or of a copy, `Judge`."""
        ...


class LoadedEngine(Engine, Protocol):
    """An engine in other processes, which load their models once: `ProcessEngine`, or that of the running service."""

    @property
    def roster(self) -> Roster:
        """Return the models. Raises RequestError: one is missing or broken. ProcessDied."""
        ...

    @property
    def protection(self) -> Protection:
        """Return what of the sandbox holds in its processes, once they have started."""
        ...

    @property
    def started(self) -> bool:
        """Return whether the models are loaded."""
        ...

    def start(self) -> str:
        """Load the models, and return the device. Raises RequestError: one is missing or broken. ProcessDied."""
        ...
