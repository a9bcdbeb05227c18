"""What was published, read: one module a format, each giving the same kind of ONNX graph.

`convert` returns float32 ONNX with one input, `input` (N, 3, H, W) with a dynamic batch, and one output, `embedding`
(N, D). The mean and the standard deviation are not in the graph: the card says them, and `Recogniser` applies them.
A module is imported when its format is asked for, so that a light command never waits for torch or onnx.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from uncnn.exporters.registry.catalog import Format
from uncnn.plugins.api import UncnnError

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

MODULES: dict[Format, str] = {
    "checkpoint": "uncnn.exporters.convert.formats.checkpoint",
    "mxnet": "uncnn.exporters.convert.formats.mxnet",
    "openvino": "uncnn.exporters.convert.formats.openvino",
    "espdl": "uncnn.exporters.convert.formats.espdl",
    "onnx": "uncnn.exporters.convert.formats.onnx_file",
    "dlib": "uncnn.exporters.convert.formats.dlib_network",
}


class FormatError(UncnnError):
    """A file that cannot be converted: the message names the file, what is wrong with it, and the remedy."""


def convert(format: Format, files: Sequence[Path], architecture: str | None = None) -> ModelProto:
    """Return the recogniser in `files` as ONNX, (N, 3, H, W) float32 -> (N, D) float32.

    Args:
        format: which module reads the files.
        files: all files that the model was published in, in any order.
        architecture: the network of a checkpoint, where its keys do not tell; see `checkpoint.ARCHITECTURES`.

    Raises:
        FormatError: the format is unknown, or a file is missing, damaged, hostile or of another kind.
    """
    if format not in MODULES:
        raise FormatError(f"format {format!r} is unknown: use one of {', '.join(get_args(Format))}")
    model: ModelProto = importlib.import_module(MODULES[format]).convert(files, architecture)
    return model


def torch_network(format: Format, files: Sequence[Path], architecture: str | None = None) -> nn.Module | None:
    """Return the network as its authors wrote it for torch, where the format has one: what a build compares with.

    Only a checkpoint and dlib's file have one; every other format is a graph, and None is returned.

    Raises:
        FormatError: as `convert`.
    """
    if format not in {"checkpoint", "dlib"}:
        return None
    network: nn.Module = importlib.import_module(MODULES[format]).torch_network(files, architecture)
    return network


def only_file(files: Sequence[Path], what: str) -> Path:
    """Return the one file of `files`.

    Raises:
        FormatError: there is none, or there are several.
    """
    if len(files) != 1:
        names = ", ".join(str(file) for file in files) or "none"
        raise FormatError(f"{what} is one file, and {len(files)} were given ({names}): give that one file")
    return files[0]
