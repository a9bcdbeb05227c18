"""ONNX Runtime's providers for a device by its name; the name of a GPU reaches it whole."""

from __future__ import annotations

import sys
from pathlib import Path

import onnxruntime
import pytest

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers import sessions
from uncnn.plugins.recognisers.sessions import known_device, make_session, providers_for

GPU = "CUDAExecutionProvider"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine look like one with GPUs."""
    (tmp_path / "version").touch()
    monkeypatch.setattr(sessions, "NVIDIA_DRIVER", tmp_path / "version")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [GPU, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)


@pytest.mark.parametrize(
    ("device", "first"),
    [("auto", GPU), ("cuda", GPU), ("cuda:0", (GPU, {"device_id": 0})), ("cuda:3", (GPU, {"device_id": 3}))],
)
@pytest.mark.usefixtures("driver")
def test_the_gpu_that_is_named_is_the_one_that_is_used(device: str, first: object) -> None:
    assert providers_for(device) == [first, "CPUExecutionProvider"]


@pytest.mark.usefixtures("driver")
def test_a_session_gets_the_providers_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda model, options, providers: seen.append(providers))
    make_session((EMBEDDED / "mobileface-v2" / "model.onnx").read_bytes(), providers_for("cuda:1"))
    assert seen == [[(GPU, {"device_id": 1}), "CPUExecutionProvider"]]


@pytest.mark.usefixtures("driver")
def test_a_gpu_that_is_not_there_is_said() -> None:
    sessions.NVIDIA_DRIVER.with_name("gpus").mkdir()
    sessions.NVIDIA_DRIVER.with_name("gpus").joinpath("0000:01:00.0").mkdir()
    assert providers_for("cuda:0")[0] == (GPU, {"device_id": 0})
    with pytest.raises(UncnnError, match="device cuda:1: this machine has cuda:0; use one of its own, auto or cpu"):
        providers_for("cuda:1")


@pytest.mark.usefixtures("driver")
def test_no_gpu_is_asked_for_where_the_processor_is_wanted() -> None:
    assert providers_for("cpu") == ["CPUExecutionProvider"]


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:01", "CUDA", "", "cuda:1,2", "mps"])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no device: use auto, cpu, cuda or cuda:N"):
        known_device(name)


def test_thrifty_sessions_keep_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = next(EMBEDDED.glob("*/model.onnx")).read_bytes()
    assert make_session(model, ["CPUExecutionProvider"]).get_session_options().enable_cpu_mem_arena
    monkeypatch.setattr(sessions.Thrift, "on", True)
    options = make_session(model, ["CPUExecutionProvider"]).get_session_options()
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern


def test_a_session_of_the_processor_does_not_keep_the_file() -> None:
    model = next(EMBEDDED.glob("*/model.onnx")).read_bytes()
    before = sys.getrefcount(model)
    kept = make_session(model, ["CPUExecutionProvider"])
    assert sys.getrefcount(model) == before
    assert kept.get_inputs()
