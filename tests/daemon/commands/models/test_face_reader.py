"""The process that reads a folder of faces for a calibration: in a sandbox, and one photo's crash is only its own."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.commands.models import face_reader
from uncnn.daemon.protect.processes import Child
from uncnn.exporters.calibration import faces
from uncnn.exporters.calibration.faces import look_with
from uncnn.exporters.registry.store import detector_files
from uncnn.plugins.detectors.retinaface import load_onnx


@pytest.mark.slow
def test_a_photo_is_read_in_a_sandbox_alone(
    portraits: Callable[[int], list[np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    files = detector_files(tmp_path)
    buffer = io.BytesIO()
    Image.fromarray(portraits(1)[0]).save(buffer, "PNG")
    data = buffer.getvalue()
    wanted = look_with(load_onnx(files.onnx, ["CPUExecutionProvider"]))(data)
    assert not isinstance(wanted, str)
    started: list[Child] = []

    class Kept(Child):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            started.append(self)

    def refused(_data: bytes) -> None:
        raise AssertionError("decoded outside the sandbox")

    monkeypatch.setattr(face_reader, "Child", Kept)
    monkeypatch.setattr(faces, "decode", refused)
    with face_reader.face_reader(files, "cpu") as look:
        patch, landmarks = look(data)
        assert np.array_equal(patch, wanted[0])
        assert np.array_equal(landmarks, wanted[1])  # type: ignore[arg-type]
        assert str(look(b"no photo")).startswith("cannot be read (UnidentifiedImageError")
        assert started[0].protection is not None
        assert started[0].protection.memory_bytes is not None
        assert started[0].pid is not None
        os.kill(started[0].pid, signal.SIGKILL)
        assert str(look(data)).startswith("cannot be read (the face reader ended unexpectedly")
        assert np.array_equal(look(data)[0], wanted[0])
    assert len(started) == 2
    assert not any(child.alive for child in started)
