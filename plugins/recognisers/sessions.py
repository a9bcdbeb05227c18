"""ONNX Runtime, as everything here runs it: quiet, on the device that is asked for, without threads that spin."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from uncnn.plugins.api import UncnnError
from uncnn.plugins.extras import require

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_GIVEN_BACK: Final = 1 << 18
"""Numbers of glibc's mallopt, and from how many bytes on memory is given back at once."""

Provider: TypeAlias = str | tuple[str, dict[str, int]]
"""One of ONNX Runtime's, by its name, perhaps with its options."""


def known_device(name: str) -> str:
    """Return `name`, that of a device: `auto`, `cpu`, `cuda` or `cuda:N`. Raises ValueError."""
    if re.fullmatch(r"auto|cpu|cuda(:(0|[1-9][0-9]?))?", name) is None:
        raise ValueError(f"{name!r} is no device: use auto, cpu, cuda or cuda:N")
    return name


def providers_for(device: str) -> list[Provider]:
    """Return ONNX Runtime's providers for `auto`, `cpu`, `cuda` or `cuda:N`, the CPU always last.

    A GPU is asked for only where there is one: without a driver the CUDA provider complains at every session.

    Raises UncnnError: that GPU is not there. MissingPackage: ONNX Runtime is not installed.
    """
    require("onnxruntime")
    import onnxruntime

    gpu = "CUDAExecutionProvider"
    if device == "cpu" or gpu not in onnxruntime.get_available_providers() or not NVIDIA_DRIVER.exists():
        return ["CPUExecutionProvider"]
    onnxruntime.preload_dlls()  # the CUDA libraries that came with torch
    number, gpus = device.partition(":")[2], NVIDIA_DRIVER.with_name("gpus")
    if number and gpus.is_dir() and int(number) >= len(list(gpus.iterdir())):
        there = ", ".join(f"cuda:{each}" for each in range(len(list(gpus.iterdir())))) or "none"
        raise UncnnError(f"device {device}: this machine has {there}; use one of its own, auto or cpu")
    return [(gpu, {"device_id": int(number)}) if number else gpu, "CPUExecutionProvider"]


class Thrift:
    """Whether sessions of this process give their memory back after each picture, which costs time."""

    on: ClassVar[bool] = False

    @classmethod
    def begin(cls) -> None:
        """Have all sessions that are made from now on, and the C library, give back what they do not use."""
        cls.on = True
        with suppress(OSError, AttributeError):  # another C library than glibc keeps what it keeps
            mallopt = ctypes.CDLL(None).mallopt
            for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
                mallopt(option, _GIVEN_BACK)


def make_session(model: bytes, providers: Sequence[Provider], threads: int | None = None) -> Any:
    """Return a session of a model file's bytes that keeps quiet and whose idle threads do not spin.

    It takes no path: a file that is opened by its name again may be another than the one whose hash was checked.

    `threads` defaults to one a core. ONNX Runtime's errors share no narrower base than Exception.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = not Thrift.on
    options.enable_mem_pattern = not Thrift.on
    session = onnxruntime.InferenceSession(model, options, providers=list(providers))
    if list(providers) == ["CPUExecutionProvider"]:  # a GPU that fails has its session made anew for the processor
        session.disable_fallback()
        session._model_bytes = None  # the whole file, kept for that and for nothing else
    return session
