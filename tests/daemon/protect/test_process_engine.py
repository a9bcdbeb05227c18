"""The engine's processes: which are started, for what, and what is said where models are wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from uncnn.daemon.config import Models
from uncnn.daemon.protect import process_engine
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Look, Review, Terms
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.protect.wire import RequestError
from uncnn.exporters.registry.detectors import LARGER, OWN_DETECTOR
from uncnn.exporters.registry.pins import EMBEDDED

FOUND = (
    "import sys; from pathlib import Path\n"
    "from uncnn.daemon.config import Models; from uncnn.daemon.protect import process_engine\n"
    "process_engine.Child = None\n"
    "engine = process_engine.ProcessEngine(Models(), 'cpu', Path({folder!r}), Path({folder!r}))\n"
    "assert engine.roster.judges\n"
    "print(*{{'torch', 'onnxruntime'}} & sys.modules.keys())\n"
)


def test_models_are_found_without_a_process_and_without_what_computes(tmp_path: Path) -> None:
    code = FOUND.format(folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.split() == []


@pytest.mark.slow
def test_weights_of_the_user_are_converted_in_a_process_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(load_file(EMBEDDED / OWN_DETECTOR), tmp_path / LARGER)
    monkeypatch.setenv("UNCNN_MODELS", str(tmp_path))
    started: list[Child] = []

    class Counted(Child):
        def __init__(self, name: str, *arguments: object) -> None:
            super().__init__(name, *arguments)  # type: ignore[arg-type]
            started.append(self)

    monkeypatch.setattr(process_engine, "Child", Counted)
    detector = ProcessEngine(Models(), "cpu", tmp_path / "data", tmp_path).roster.detector
    assert [child.name for child in started] == ["exporter"]
    assert not started[0].alive
    assert detector.files.onnx.parent == tmp_path / "data" / "models"
    assert ProcessEngine(Models(), "cpu", tmp_path / "data", tmp_path).roster.detector == detector
    assert len(started) == 1, "it was converted before"
    (tmp_path / LARGER).write_bytes(b"no weights")
    with pytest.raises(RequestError, match=LARGER):
        _ = ProcessEngine(Models(), "cpu", tmp_path / "data", tmp_path).roster


def test_a_model_that_is_missing_is_said_as_a_process_would(tmp_path: Path) -> None:
    engine = ProcessEngine(Models(surrogates=("nobody",)), "cpu", tmp_path, tmp_path)
    with pytest.raises(RequestError, match="surrogate 'nobody' is not installed"):
        engine.start()


@pytest.mark.slow
def test_the_verifier_looks_at_a_photo_while_the_worker_does(tmp_path: Path) -> None:
    photo = Content(tmp_path / "photo")
    Image.new("RGB", (64, 64)).save(tmp_path / "photo", "PNG")
    with ProcessEngine(Models(), "cpu", tmp_path / "data", tmp_path) as engine:
        engine.start()
        worker, verifier = engine.canaries
        assert (worker.process, worker.passed, worker.failed) == ("worker", ("detector",), ())
        names = [model.card.name for model in (*engine.roster.judges, *engine.roster.surrogates)]
        assert (verifier.process, verifier.passed) == ("verifier", ("detector", "second detector", *names))
        engine.hear_canaries()
        assert engine.canaries == (worker, verifier), "they were not asked again"
        looked = engine.look(Look(photo, "photo", "auto"))
        assert engine.verifier._posted == 1
        terms = Terms(1e-3, ("as-is",), "calibrated", 24, "auto", "cloak", "all")
        assert engine.judge(Review(photo, "photo", looked.faces, terms)).detections == ()
        assert engine.verifier._posted == 0
        (tmp_path / "photo").write_bytes(b"no photo")
        with pytest.raises(RequestError) as caught:
            engine.look(Look(photo, "photo", "auto"))
        assert caught.value.fault == "photo"
        with pytest.raises(RequestError) as caught:
            engine.judge(Review(photo, "photo", (), terms))
        assert caught.value.fault == "photo", "its own error, not the one of before"
