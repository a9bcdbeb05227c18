"""ONNX Runtime, as everything here runs it: quiet, on the device that is there, without threads that spin."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def providers_for(device: str) -> list[str]:
    """Return ONNX Runtime's providers for `auto`, `cpu`, `cuda` or `cuda:N`, the CPU always last.

    A GPU is asked for only where there is one: without a driver the CUDA provider complains at every session.
    """
    import onnxruntime

    gpu = "CUDAExecutionProvider"
    if device == "cpu" or gpu not in onnxruntime.get_available_providers() or not NVIDIA_DRIVER.exists():
        return ["CPUExecutionProvider"]
    onnxruntime.preload_dlls()  # the CUDA libraries that came with torch
    return [gpu, "CPUExecutionProvider"]


def make_session(model: bytes, providers: Sequence[str], threads: int | None = None) -> Any:
    """Return a session of a model file's bytes that keeps quiet and whose idle threads do not spin.

    It takes no path: a file that is opened by its name again may be another than the one whose hash was checked.

    `threads` defaults to one a core. ONNX Runtime's errors share no narrower base than Exception.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=list(providers))
