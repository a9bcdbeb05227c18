"""dlib's face recogniser as a torch module and, written node by node, as an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.convert.formats import FormatError, only_file
from uncnn.exporters.convert.formats.dlib_file import (
    LENGTH,
    PACKAGE,
    SIDE,
    Block,
    Convolution,
    DlibError,
    Weights,
    read_dlib,
)


class DlibResnet(nn.Module):
    """The network for torch: (N, 3, 150, 150) float32, (RGB - mean) / 256, to embeddings (N, 128)."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.stem = _module(weights.stem)
        self.blocks = nn.Sequential(*[_Residual(block) for block in weights.blocks])
        self.projection = nn.Parameter(torch.tensor(weights.projection))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the embeddings, (N, 128), of normalised pictures (N, 3, 150, 150)."""
        features = functional.max_pool2d(functional.relu(self.stem(pictures)), 3, 2)
        averages: Tensor = self.blocks(features).mean((2, 3))
        return averages @ self.projection


class _Residual(nn.Module):
    def __init__(self, block: Block) -> None:
        super().__init__()
        self.first, self.second, self.halves = _module(block.first), _module(block.second), block.halves

    def forward(self, features: Tensor) -> Tensor:
        skip = functional.avg_pool2d(features, 2) if self.halves else features
        body: Tensor = self.second(functional.relu(self.first(features)))
        return functional.relu(_grown(body, skip) + _grown(skip, body))


def _grown(features: Tensor, other: Tensor) -> Tensor:
    """Return `features` with zeros added at the end, where `other` has more channels, rows or columns."""
    channels, rows, columns = (max(0, n - m) for m, n in zip(features.shape[1:], other.shape[1:], strict=True))
    return functional.pad(features, (0, columns, 0, rows, 0, channels))


def _module(convolution: Convolution) -> nn.Conv2d:
    filters, channels, kernel, _ = convolution.weight.shape
    module = nn.Conv2d(channels, filters, kernel, convolution.stride, convolution.padding)
    module.weight = nn.Parameter(torch.tensor(convolution.weight))
    module.bias = nn.Parameter(torch.tensor(convolution.bias))
    return module


class _Graph:
    """The nodes and constants of an ONNX graph under construction; a value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str | npt.NDArray[np.generic], **attributes: Any) -> str:
        """Append a node and return its output; an array among its inputs becomes a constant."""
        output = f"{operator}_{len(self.nodes)}"
        names = []
        for position, value in enumerate(inputs):
            name = value if isinstance(value, str) else f"{output}.{position}"
            if not isinstance(value, str):
                self.constants.append(numpy_helper.from_array(value, name))
            names.append(name)
        self.nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output

    def convolution(self, features: str, layer: Convolution) -> str:
        kernel, padding, stride = list(layer.weight.shape[2:]), [layer.padding] * 4, [layer.stride] * 2
        return self.add("Conv", features, layer.weight, layer.bias, kernel_shape=kernel, pads=padding, strides=stride)

    def pad(self, features: str, channels: int, side: int) -> str:
        ends = np.array([0, 0, 0, 0, 0, channels, side, side], np.int64)
        return self.add("Pad", features, ends) if ends.any() else features

    def block(self, features: str, block: Block, side: int) -> str:
        """Append a block whose input is `side` pixels high and wide."""
        first = self.add("Relu", self.convolution(features, block.first))
        body, skip = self.convolution(first, block.second), features
        if block.halves:
            filters, channels = block.first.weight.shape[:2]
            body = self.pad(body, 0, side // 2 - (side - 1) // 2)  # (side - 1) // 2: after 3 x 3, stride 2
            skip = self.add("AveragePool", features, kernel_shape=[2, 2], strides=[2, 2])
            skip = self.pad(skip, filters - channels, 0)
        return self.add("Relu", self.add("Add", body, skip))


def onnx_model(weights: Weights) -> onnx.ModelProto:
    """Return the network as float32 ONNX: `input` (N, 3, 150, 150), (RGB - mean) / 256, to `embedding` (N, 128).

    The graph is written node by node: the same bytes every time, in a fraction of a second.
    """
    graph = _Graph()
    features = graph.add("Relu", graph.convolution("input", weights.stem))
    features = graph.add("MaxPool", features, kernel_shape=[3, 3], strides=[2, 2])
    side = ((SIDE - 7) // 2 + 1 - 3) // 2 + 1
    for block in weights.blocks:
        features = graph.block(features, block, side)
        side = side // 2 if block.halves else side
    averages = graph.add("Flatten", graph.add("GlobalAveragePool", features))
    graph.add("Gemm", averages, weights.projection)
    graph.nodes[-1].output[0] = "embedding"
    picture = helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    embedding = helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["N", LENGTH])
    proto = helper.make_graph(graph.nodes, "dlib-resnet", [picture], [embedding], graph.constants)
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def convert(files: Sequence[Path], architecture: str | None = None) -> onnx.ModelProto:
    """Return the recogniser in dlib's file as ONNX, see `onnx_model`: what `formats.convert` calls.

    Raises:
        FormatError: it is not that file, or is damaged.
    """
    del architecture
    return onnx_model(_weights(files))


def torch_network(files: Sequence[Path], architecture: str | None = None) -> nn.Module:
    """Return the recogniser in dlib's file as torch has it.

    Raises:
        FormatError: as `convert`.
    """
    del architecture
    return DlibResnet(_weights(files)).eval()


def _weights(files: Sequence[Path]) -> Weights:
    path = only_file(files, "dlib's recogniser")
    try:
        return read_dlib(path)
    except DlibError as error:
        raise FormatError(str(error)) from error
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); install {PACKAGE} again") from error
