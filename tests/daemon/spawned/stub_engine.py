"""An engine of real processes without networks, in the place of the real one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import stub_handlers

from uncnn.daemon.config import Models
from uncnn.daemon.protect.process_engine import JOB_SECONDS, ProcessEngine
from uncnn.daemon.protect.processes import Child
from uncnn.exporters.registry.detectors import ChosenDetector, DetectorFiles
from uncnn.exporters.registry.store import EMBEDDED, Installed, Roster
from uncnn.plugins.recognisers.cards import read_card

_ROLES = ("surrogate", "judge")


class StubEngine(ProcessEngine):
    """Starts, asks and ends its processes as the real one does."""

    @property
    def roster(self) -> Roster:
        limit = self._data / "threshold-of-the-stub"
        thresholds = {1e-3: float(limit.read_text()) if limit.exists() else 0.5}
        own = {"name": "stub", "family": "none", "sha256": "0" * 64, "metric": "cosine", "thresholds": thresholds}
        card = read_card(EMBEDDED / "dlib-resnet").model_copy(
            update={**own, "intervals": None, "margin": None, "margin_source": None}
        )
        surrogate, judge = (Installed(EMBEDDED, card.model_copy(update={"role": role})) for role in _ROLES)
        models = self._data / "models-of-the-stub"  # another content: other models
        said = hashlib.sha256(models.read_bytes() if models.exists() else b"stub").hexdigest()
        file = Path(stub_handlers.__file__)
        files = DetectorFiles(onnx=file, onnx_sha256="0" * 64, weights=file, weights_sha256=said)
        return Roster((surrogate,), (judge,), (), ChosenDetector(files))

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


def stub_for(
    models: Models, device: str, data: Path, spool: Path, _servers: Sequence[str] = (), seconds: float = JOB_SECONDS
) -> StubEngine:
    """Return what `engine_for` is replaced by."""
    return StubEngine(models, device, data, spool, seconds)
