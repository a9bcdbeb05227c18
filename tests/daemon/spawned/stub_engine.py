"""An engine of real processes without networks, in the place of the real one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import stub_handlers

from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.processes import Child
from uncnn.exporters.registry.detectors import ChosenDetector, DetectorFiles
from uncnn.plugins.recognisers.cards import Card

_ROLES = ("surrogate", "judge")


class StubEngine(ProcessEngine):
    """Starts, asks and ends its processes as the real one does."""

    @property
    def roster(self) -> Any:
        limit = self._data / "threshold-of-the-stub"
        thresholds = {1e-3: float(limit.read_text()) if limit.exists() else 0.5}
        card = {"name": "stub", "family": "none", "sha256": "0" * 64, "metric": "cosine", "thresholds": thresholds}
        surrogate, judge = (SimpleNamespace(card=Card.model_construct(**card, role=role)) for role in _ROLES)
        models = self._data / "models-of-the-stub"  # another content: other models
        said = models.read_text() if models.exists() else "stub"
        file = Path(stub_handlers.__file__)
        detector = ChosenDetector(DetectorFiles(file, "0" * 64, file, "0" * 64))
        return SimpleNamespace(surrogates=[surrogate], judges=[judge], digest=lambda: said, detector=detector)

    @property
    def worker(self) -> Child:
        if self._worker is None or not self._worker.alive:
            self._worker = Child("worker", partial(stub_handlers.make_worker, str(self._data)))
        return self._worker

    @property
    def verifier(self) -> Child:
        if self._verifier is None or not self._verifier.alive:
            self._verifier = Child("verifier", partial(stub_handlers.make_verifier, str(self._data)))
        return self._verifier
