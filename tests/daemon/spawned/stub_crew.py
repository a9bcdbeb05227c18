"""A crew of real processes without networks, in the place of the real one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import stub_handlers

from uncnn.daemon.crew import Crew
from uncnn.daemon.processes import Child

_ROLES = ("surrogate", "judge")


class StubCrew(Crew):
    """Starts, asks and ends its processes as the real one does."""

    @property
    def roster(self) -> Any:
        thresholds = {1e-3: 0.5}
        card = SimpleNamespace(name="stub", family="none", sha256="0" * 64, metric="cosine", thresholds=thresholds)
        surrogate, judge = (SimpleNamespace(card=SimpleNamespace(**vars(card), role=role)) for role in _ROLES)
        models = self._data / "models-of-the-stub"  # another content: other models
        said = models.read_text() if models.exists() else "stub"
        return SimpleNamespace(
            surrogates=[surrogate], judges=[judge], digest=lambda: said, detector=Path(stub_handlers.__file__)
        )

    @property
    def worker(self) -> Child:
        if self._worker is None or not self._worker.alive:
            self._worker = Child("worker", partial(stub_handlers.make_worker, str(self._data)))
        return self._worker

    @property
    def verifier(self) -> Child:
        if self._verifier is None or not self._verifier.alive:
            self._verifier = Child("verifier", stub_handlers.make_verifier)
        return self._verifier
