"""An engine without processes of its own, for notebooks and tests.

There is no sandbox: a photo that a decoder dies of takes this process with it. The service uses `ProcessEngine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from uncnn.daemon.config import Models
from uncnn.daemon.protect.messages import Change, Changed, Look, Looked
from uncnn.daemon.protect.wire import Ask, Handlers, Report, RequestError, answer, silent
from uncnn.exporters.registry.store import prepare

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class InlineEngine:
    """Answers by functions of this process."""

    worker: Handlers
    verifier: Handlers

    @classmethod
    def load(cls, models: Models, device: str, data: Path) -> InlineEngine:
        """Return an engine with its models loaded; `data` is the user's data directory.

        Torch is set to one thread, and flushes denormal numbers, from then on.

        Raises:
            UncnnError: a model is missing or broken.
        """
        from uncnn.daemon.protect.torch_worker import make_worker
        from uncnn.daemon.protect.verifier import make_verifier  # torch and ONNX Runtime: only where they are used

        roster = prepare(data, models.surrogates, models.judges, models.licences, models.detector)
        return cls(make_worker(roster, device), make_verifier(roster, device))

    def look(self, asked: Look) -> Looked:
        """Return what there is in a photo. Raises RequestError."""
        return _answer(self.worker, asked)

    def change(self, asked: Change, report: Report) -> Changed:
        """Return the photo with its faces changed. Raises RequestError."""
        return _answer(self.worker, asked, report)

    def judge(self, asked: Ask[Answer]) -> Answer:
        """Return what the verifier says. Raises RequestError."""
        return _answer(self.verifier, asked)


def _answer(handlers: Handlers, asked: Ask[Answer], report: Report = silent) -> Answer:
    try:
        return answer(handlers, asked, report)
    except Exception as error:  # as a process does: one photo's failure is said, whatever it was
        raise RequestError.of(error) from error
