"""What an ONNX graph shows of its picture and its embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from uncnn.exporters.convert.formats import FormatError

LARGEST_SIDE = 1024  # pixels
SHORTEST = 32  # numbers of an embedding: what is shorter is a norm, an age or a class
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}

PASSING = {"Transpose", "Cast", "Identity"}
AFFINE = {"Sub", "Add", "Mul", "Div", "BatchNormalization"}
SWAPPING = {"Gather": [2, 1, 0], "Slice": [-1]}
"""What their last input, the indices and the steps, then is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The graph's one picture and one embedding."""

    input: str
    output: str
    height: int
    width: int
    layout: Literal["NCHW", "NHWC"]
    batch: int | None  # where it is fixed
    half: bool  # float16
    applied: tuple[float, float] | None  # scale and shift of grey levels before the first filter; NaN: by channel
    swaps_channels: bool

    @property
    def mean(self) -> float | None:
        """Return the grey levels that the graph takes off, where one number can be read."""
        return None if self.applied is None or np.isnan(self.applied).any() else -self.applied[1] / self.applied[0]

    @property
    def std(self) -> float | None:
        """Return the grey levels that the graph divides by, where one number can be read."""
        return None if self.applied is None or np.isnan(self.applied).any() else 1 / self.applied[0]


def entry_of(path: Path, model: ModelProto, size: tuple[int, int] | None) -> Entry:
    """Return what the graph shows; `size`, height and width, stands in where it takes pictures of any.

    Raises:
        FormatError: it is not one picture in and one embedding out, and why.
    """
    picture = _picture(path, model)
    kind, shape = picture.type.tensor_type.elem_type, _shape(picture)
    layout: Literal["NCHW", "NHWC"] = "NCHW" if shape[1] == 3 else "NHWC"
    height, width = _size(path, (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2]), size)
    applied, swaps = _first_steps(model, picture.name)
    output = _embedding(path, model)
    return Entry(
        input=picture.name,
        output=output,
        height=height,
        width=width,
        layout=layout,
        batch=shape[0],
        half=kind == TensorProto.FLOAT16 or _half(model, output),
        applied=applied,
        swaps_channels=swaps,
    )


def _picture(path: Path, model: ModelProto) -> ValueInfoProto:
    """Return the one input that is no weight, which must be a picture."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise FormatError(f"{path}: has {len(inputs)} inputs ({names}), and a recogniser has one picture")
    picture: ValueInfoProto = inputs[0]
    kind, shape = picture.type.tensor_type.elem_type, _shape(picture)
    if kind not in FLOATS:
        name = TensorProto.DataType.Name(kind) if picture.type.HasField("tensor_type") else "no tensor"
        raise FormatError(f"{path}: its input {picture.name} is {name}, and a picture is FLOAT; export it so")
    if len(shape) != 4 or (shape[1] != 3) == (shape[3] != 3):
        raise FormatError(
            f"{path}: its input {picture.name} is {shape}, and a picture is (N, 3, H, W) or (N, H, W, 3); take the "
            "recogniser itself, not a detector or a part of one"
        )
    return picture


def _shape(value: ValueInfoProto) -> list[int | None]:
    """Return a value's shape, None where a side is not fixed."""
    sides = value.type.tensor_type.shape.dim
    return [side.dim_value if side.dim_value > 0 else None for side in sides]


def _size(path: Path, stated: tuple[int | None, int | None], given: tuple[int, int] | None) -> tuple[int, int]:
    height, width = (one or other for one, other in zip(stated, given or (None, None), strict=True))
    if height is None or width is None:
        raise FormatError(f"{path}: takes pictures of any size; name height and width as architecture, such as 112x112")
    if given and (height, width) != given:
        raise FormatError(f"{path}: takes pictures of {height}x{width}, not of {given[0]}x{given[1]}; leave that away")
    if not 16 <= min(height, width) <= max(height, width) <= LARGEST_SIDE:
        raise FormatError(f"{path}: takes pictures of {height}x{width}, and a recogniser 16 to {LARGEST_SIDE} pixels")
    return height, width


def _embedding(path: Path, model: ModelProto) -> str:
    """Return the name of the one output that can be an embedding: (N, D), or with sides of 1 after it."""
    shapes = {value.name: _shape(value) for value in model.graph.output}
    fitting = [
        name
        for name, shape in shapes.items()
        if len(shape) >= 2 and all(side == 1 for side in shape[2:]) and (shape[1] is None or shape[1] >= SHORTEST)
    ]
    if len(fitting) != 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise FormatError(
            f"{path}: of its outputs ({found}) {len(fitting)} can be an embedding, (N, D) with D of {SHORTEST} or "
            "more, and a recogniser has one; export it with that one alone"
        )
    return str(fitting[0])


def _half(model: ModelProto, output: str) -> bool:
    return any(
        value.name == output and value.type.tensor_type.elem_type == TensorProto.FLOAT16 for value in model.graph.output
    ) or any(tensor.data_type == TensorProto.FLOAT16 for tensor in model.graph.initializer)


def _first_steps(model: ModelProto, name: str) -> tuple[tuple[float, float] | None, bool]:
    """Return the scale and shift of grey levels before the first filter, and whether the channels change places."""
    constants = dict(_constants(model))
    scale, shift, steps, swaps = np.float64(1), np.float64(0), 0, False
    while True:
        users = [node for node in model.graph.node if name in node.input]
        if len(users) != 1 or users[0].op_type not in PASSING | AFFINE | SWAPPING.keys():
            break
        (node,) = users
        if node.op_type in AFFINE:
            factor, term = _affine(node, name, constants)
            scale, shift, steps = scale * factor, shift * factor + term, steps + 1
        elif node.op_type in SWAPPING:
            last = constants.get(node.input[-1], np.array([]))
            if last.reshape(-1).tolist() != SWAPPING[node.op_type]:
                break
            swaps = not swaps
        name = node.output[0]
    return ((float(scale), float(shift)) if steps else None), swaps


def _constants(model: ModelProto) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for tensor in model.graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                yield node.output[0], numpy_helper.to_array(helper.get_attribute_value(attribute))


def _affine(node: NodeProto, name: str, constants: dict[str, npt.NDArray[Any]]) -> tuple[float, float]:
    """Return a node's factor and term; NaN where it is not one number for every channel."""
    others = [constants.get(each) for each in node.input if each != name]
    if len(others) != 1 or others[0] is None or others[0].size != 1:
        return np.nan, np.nan
    value = float(others[0].reshape(()))
    first = node.input[0] == name
    known = {"Add": (1.0, value), "Mul": (value, 0.0)}
    if first:
        known |= {"Sub": (1.0, -value), "Div": (1 / value if value else np.nan, 0.0)}
    return known.get(node.op_type, (np.nan, np.nan))
