"""An ONNX graph under construction: what the readers of foreign graphs write into, checked when it is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference

from uncnn.exporters.convert.formats import FormatError

Array: TypeAlias = npt.NDArray[np.generic]
Shape: TypeAlias = tuple[int, ...]

OPSET = 17  # onnx2torch 1.5 takes no reduction of a later one
LARGEST = 2**28  # values: of all weights together, and of one activation of one picture (1 GiB as float32)
LARGEST_RANK = 8
BATCH = -1  # in a shape: N
LARGEST_SIDE = 4096  # pixels of the input


class Graph:
    """The nodes and constants of a recogniser read from `path`; a value is known by its name, the picture is `input`.

    `remedy` ends the message of each error: what the user can do about such a file.
    """

    def __init__(self, path: Path, remedy: str) -> None:
        self._path, self._remedy = path, remedy
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._known: dict[int, tuple[Array, str]] = {}  # by id; the array is kept, so that its id stays its own
        self._values = 0

    def wrong(self, what: str) -> FormatError:
        """Return the error that names the file, `what` is wrong with it, and the remedy."""
        return FormatError(f"{self._path}: {what}; {self._remedy}")

    def charge(self, values: int) -> None:
        """Count `values` more that a constant takes.

        Raises:
            FormatError: they are too many: small files can describe endless ones.
        """
        self._values += values
        if self._values > LARGEST:
            raise self.wrong(f"its constants are more than {LARGEST} values")

    def add(self, operator: str, *inputs: str | Array, **attributes: Any) -> str:
        """Append a node and return its output; an array among its inputs becomes a constant."""
        output = f"{operator}_{len(self._nodes)}"
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        self._nodes.append(helper.make_node(operator, names, [output], output, **attributes))
        return output

    def model(self, name: str, picture: Shape, output: str, declared: Mapping[str, Shape]) -> onnx.ModelProto:
        """Return the finished graph: `input` (N, *picture) to `embedding` (N, D), float32, what is unused left out.

        Args:
            name: of the graph.
            picture: channels, height and width of the input.
            output: the value that is flattened to the embedding.
            declared: shapes that the file itself gives to values, batch first; ours must be the same.

        Raises:
            FormatError: the picture is none, shapes contradict each other, or the batch is lost on the way.
        """
        if len(picture) != 3 or picture[0] != 3 or not all(1 <= side <= LARGEST_SIDE for side in picture[1:]):
            raise self.wrong(f"its input of {_text(picture)} is no colour picture (3 x height x width)")
        self.add("Flatten", output, axis=1)
        self._nodes[-1].output[0] = "embedding"
        entry = helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["N", *picture])
        end = helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["N", "D"])
        nodes, constants = self._used()
        proto = helper.make_graph(nodes, name, [entry], [end], constants)
        model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        shapes = self._shapes(model)
        self._check(nodes, shapes, declared)
        (length,) = shapes["embedding"][1:]
        model.graph.output[0].CopyFrom(
            helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["N", length])
        )
        return model

    def _constant(self, array: Array) -> str:
        if id(array) not in self._known:
            self.charge(array.size)
            if array.dtype == np.float32 and not np.isfinite(array).all():
                raise self.wrong("its weights are not all finite")
            name = f"constant_{len(self._constants)}"
            self._known[id(array)] = (array, name)
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return self._known[id(array)][1]

    def _used(self) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
        """Return the nodes and constants that the embedding comes from."""
        needed, nodes = {"embedding"}, []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        return nodes[::-1], [constant for constant in self._constants if constant.name in needed]

    def _shapes(self, model: onnx.ModelProto) -> dict[str, Shape]:
        """Return the shape of every value: `BATCH` is N, 0 is not known."""
        try:
            onnx.checker.check_model(model)
            inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
        except Exception as error:  # onnx raises what its C++ parts raise
            raise self.wrong(f"its graph contradicts itself ({' '.join(str(error).split())[:300]})") from error
        values = [*inferred.input, *inferred.value_info, *inferred.output]
        return {value.name: _shape(value) for value in values}

    def _check(self, nodes: list[onnx.NodeProto], shapes: Mapping[str, Shape], declared: Mapping[str, Shape]) -> None:
        """Refuse a graph whose shapes are not fixed, not those of the file, or too large."""
        for node in nodes:
            shape = shapes.get(node.output[0], ())
            if not 2 <= len(shape) <= LARGEST_RANK or shape[0] != BATCH or min(shape[1:]) < 1:
                raise self.wrong(f"its {node.op_type} gives {_text(shape)}, where each picture needs its own row")
            size = math.prod(shape[1:])
            wanted = declared.get(node.output[0])
            if wanted is not None and wanted[1:] != shape[1:]:
                raise self.wrong(f"its {node.op_type} gives {_text(shape)}, but it says {_text(wanted)}")
            if size > LARGEST:
                raise self.wrong(f"its {node.op_type} gives {size} values, more than {LARGEST}")
        weights = {constant.name: tuple(constant.dims) for constant in self._constants}
        for node in nodes:
            if node.op_type == "Conv":
                self._check_convolution(node, shapes[node.input[0]], weights.get(node.input[1], ()))

    def _check_convolution(self, node: onnx.NodeProto, shape: Shape, weight: Shape) -> None:
        """Refuse filters that do not fit the channels, which onnx's own shape inference lets pass."""
        group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        if len(weight) != len(shape) or group < 1 or weight[0] % group or weight[1] * group != shape[1]:
            raise self.wrong(f"its filters {_text(weight)} in {group} groups do not fit an input {_text(shape)}")


def _shape(value: onnx.ValueInfoProto) -> Shape:
    sides = value.type.tensor_type.shape.dim
    return tuple(BATCH if side.dim_param == "N" else side.dim_value for side in sides)


def _text(shape: Shape) -> str:
    names = {BATCH: "N", 0: "?"}
    return " x ".join(names.get(side) or str(side) for side in shape) or "nothing"
