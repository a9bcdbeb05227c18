"""Writes small `.espdl` files with the authors' FlatBuffer builder, laid out as esp-ppq lays its weights out."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import flatbuffers
import numpy as np

TYPES = {"int8": 3, "int16": 5, "int32": 6, "int64": 7, "float32": 1}


@dataclass
class Constant:
    """A tensor as it is stored: its shape beside its bytes."""

    name: str
    data: np.ndarray  # in the order of the file
    shape: tuple[int, ...]
    exponents: tuple[int, ...] = ()
    layout: str = "UNK"


@dataclass
class Operator:
    """A node."""

    kind: str
    inputs: Sequence[str]
    output: str
    attributes: dict[str, int | float | str | Sequence[int]] = field(default_factory=dict)


def stored_filters(weight: np.ndarray, lanes: int, *, grouped: bool) -> tuple[np.ndarray, tuple[int, ...], str]:
    """Return (N, C, H, W) integers as the file has them: flat, the shape beside them, the layout's name."""
    number, channels, height, width = weight.shape
    groups = [weight[n : n + lanes] for n in range(0, number - number % lanes, lanes)]
    parts = [np.moveaxis(group, (2, 3, 1, 0), (0, 1, 2, 3)).ravel() for group in groups]  # HWC16
    rest = weight[number - number % lanes :]
    parts.append((np.moveaxis(rest, 0, -1) if grouped else np.moveaxis(rest, 1, -1)).ravel())
    shape = (height, width, number, channels) if grouped else (height, width, channels, number)
    return np.concatenate(parts), shape, f"N{lanes}HWC{lanes}" + "_UNALIGNED" * (number % lanes > 0)


def write(
    path: Path,
    side: int,
    operators: Sequence[Operator],
    constants: Sequence[Constant],
    shapes: dict[str, Sequence[int]],
) -> Path:
    """Write a network of a picture `input`, 3 x side x side; the last operator gives the embedding."""
    builder = flatbuffers.Builder(1024)
    nodes = _vector(builder, [_node(builder, operator) for operator in operators])
    tensors = _vector(builder, [_tensor(builder, constant) for constant in constants])
    ends = [_vector(builder, [_value(builder, "input", (1, side, side, 3))])]
    ends.append(_vector(builder, [_value(builder, operators[-1].output, shapes[operators[-1].output])]))
    ends.append(_vector(builder, [_value(builder, name, shape) for name, shape in shapes.items()]))
    slots = {0: nodes, 1: builder.CreateString("small"), 2: tensors, 4: ends[0], 5: ends[1], 6: ends[2]}
    graph = _table(builder, 10, slots)
    builder.Finish(_table(builder, 10, {7: graph}))
    data = bytes(builder.Output())
    path.write_bytes(struct.pack("<4sIII", b"EDL2", 0, len(data), 0) + data)
    return path


def _table(
    builder: flatbuffers.Builder, size: int, references: dict[int, int], number: tuple[int, int] | None = None
) -> int:
    builder.StartObject(size)
    for slot, reference in references.items():
        builder.PrependUOffsetTRelativeSlot(slot, reference, 0)
    if number is not None:
        builder.PrependInt32Slot(number[0], number[1], 0)
    return builder.EndObject()


def _vector(builder: flatbuffers.Builder, references: Sequence[int]) -> int:
    builder.StartVector(4, len(references), 4)
    for reference in reversed(references):
        builder.PrependUOffsetTRelative(reference)
    return builder.EndVector()


def _texts(builder: flatbuffers.Builder, texts: Sequence[str]) -> int:
    return _vector(builder, [builder.CreateString(text) for text in texts])


def _integers(builder: flatbuffers.Builder, values: Sequence[int]) -> int:
    builder.StartVector(8, len(values), 8)
    for value in reversed(values):
        builder.PrependInt64(int(value))
    return builder.EndVector()


def _node(builder: flatbuffers.Builder, operator: Operator) -> int:
    attributes = _vector(builder, [_attribute(builder, *item) for item in operator.attributes.items()])
    inputs, outputs = _texts(builder, operator.inputs), _texts(builder, [operator.output])
    name, kind = builder.CreateString(f"{operator.kind}_of_{operator.output}"), builder.CreateString(operator.kind)
    return _table(builder, 7, {0: inputs, 1: outputs, 2: name, 3: kind, 5: attributes})


def _attribute(builder: flatbuffers.Builder, name: str, value: int | float | str | Sequence[int]) -> int:
    references = {0: builder.CreateString(name)}
    if isinstance(value, str):
        return _table(builder, 16, {**references, 6: builder.CreateString(value)}, (3, 3))
    if not isinstance(value, int | float):
        return _table(builder, 16, {**references, 11: _integers(builder, value)}, (3, 7))
    builder.StartObject(16)
    builder.PrependUOffsetTRelativeSlot(0, references[0], 0)
    builder.PrependInt32Slot(3, 1 if isinstance(value, float) else 2, 0)
    if isinstance(value, float):
        builder.PrependFloat32(value)
    else:
        builder.PrependInt64(value)
    builder.PrependStructSlot(4 if isinstance(value, float) else 5, builder.Offset(), 0)
    return builder.EndObject()


def _tensor(builder: flatbuffers.Builder, constant: Constant) -> int:
    data = constant.data.tobytes()
    blocks = -(-len(data) // 16)
    builder.StartVector(16, blocks, 16)
    builder.head -= 16 * blocks
    builder.Bytes[builder.head : builder.head + 16 * blocks] = data.ljust(16 * blocks, b"\0")
    references = {8: builder.EndVector(), 0: _integers(builder, constant.shape)}
    references[6] = builder.CreateString(constant.name)
    references[7] = builder.CreateString(f"layout ==> {constant.layout}")
    if constant.exponents:
        references[13] = _integers(builder, constant.exponents)
    return _table(builder, 14, references, (1, TYPES[str(constant.data.dtype)]))


def _value(builder: flatbuffers.Builder, name: str, shape: Sequence[int]) -> int:
    dimensions = []
    for side in shape:
        builder.StartObject(3)
        builder.PrependInt8Slot(0, 1, 0)
        builder.PrependInt64Slot(1, side, 0)
        dimensions.append(_table(builder, 2, {0: builder.EndObject()}))
    sides = _table(builder, 1, {0: _vector(builder, dimensions)})
    kind = _table(builder, 2, {1: sides}, (0, 3))
    builder.StartObject(3)
    builder.PrependUint8Slot(0, 1, 0)
    builder.PrependUOffsetTRelativeSlot(1, kind, 0)
    info = builder.EndObject()
    return _table(builder, 4, {0: builder.CreateString(name), 1: info})
