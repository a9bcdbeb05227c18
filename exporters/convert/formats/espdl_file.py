"""Reads a network as ESP-DL stores it for a microcontroller: an `.espdl` file, whole numbers and their exponents.

The schema is Espressif's `espdl.fbs` (https://github.com/espressif/esp-dl, MIT): ONNX's own messages as a FlatBuffer,
behind a header of a magic, an encryption mode and the size. How esp-ppq, which writes these files, lays weights out is
in `reset_conv_filter_layout` of its `export_patterns.py`.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.flatbuffer import Buffer, Table
from uncnn.exporters.convert.formats.onnx_graph import LARGEST_RANK, Shape

Floats: TypeAlias = npt.NDArray[np.float32]
Attribute: TypeAlias = int | float | str | tuple[int, ...]

REMEDY = "fetch the .espdl file again, or take another model"
HEADERS = {b"EDL1": 12, b"EDL2": 16}  # bytes before the FlatBuffer; EDL2 aligns it
LARGEST_FILE = 2**28  # bytes; what fits a microcontroller is far smaller
LARGEST_EXPONENT = 60  # either way; true ones are around -10
TYPES = {1: "<f4", 3: "i1", 5: "<i2", 6: "<i4", 7: "<i8"}  # TensorDataType
FLOAT, INT, STRING, INTS = 1, 2, 3, 7  # AttributeType


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Constants as they are stored: a value is `values` times two to the exponent, one for all or one a channel."""

    name: str
    shape: Shape
    values: Floats  # flat, in the order of `layout`
    exponents: tuple[int, ...]  # none: the values are true
    layout: str  # N16HWC16 and the like; empty where it is the shape's own


@dataclass(frozen=True, slots=True)
class Node:
    """An operator: ONNX's, on pictures in NHWC."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The whole graph as read."""

    name: str
    input: str
    output: str
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    shapes: Mapping[str, Shape]  # of the values between nodes, NHWC where they are pictures


def read_espdl(path: Path) -> Network:
    """Return the network in `path`.

    Raises:
        FormatError: the file is missing, of another kind, encrypted, damaged, or larger than it says.
    """
    model = Buffer(_body(path), path, REMEDY).root()
    graph = model.table(7)
    if graph is None:
        raise model.buffer.wrong("it holds no graph")
    values = {value.text(0): value for slot in (4, 5, 6) for value in graph.tables(slot)}
    ends = [[value.text(0) for value in graph.tables(slot)] for slot in (4, 5)]
    if any(len(names) != 1 for names in ends):
        raise model.buffer.wrong(f"it has the inputs {ends[0][:5]} and outputs {ends[1][:5]}, and needs one of each")
    tensors = [_tensor(table) for table in graph.tables(2)]
    return Network(
        name=graph.text(1)[:100] or "espdl",
        input=ends[0][0],
        output=ends[1][0],
        nodes=tuple(_node(table) for table in graph.tables(0)),
        tensors={tensor.name: tensor for tensor in tensors},
        shapes={name: _shape(value) for name, value in values.items()},
    )


def _body(path: Path) -> bytes:
    """Return the FlatBuffer behind the header."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error
    start = HEADERS.get(data[:4])
    if start is None:
        known = " or ".join(magic.decode() for magic in HEADERS)
        raise FormatError(f"{path}: expected {known} at its start, found {data[:4]!r}; {REMEDY}")
    if len(data) > LARGEST_FILE or len(data) < start:
        raise FormatError(f"{path}: is {len(data)} bytes, where {start} to {LARGEST_FILE} can be; {REMEDY}")
    mode, size = struct.unpack_from("<II", data, 4)
    if mode:
        raise FormatError(f"{path}: it is encrypted (mode {mode}); take the file that is not")
    if size != len(data) - start:
        raise FormatError(f"{path}: its header says {size} bytes and {len(data) - start} follow; {REMEDY}")
    return data[start:]


def _node(table: Table) -> Node:
    outputs = table.texts(1)
    name, operator = table.text(2)[:80], table.text(3)[:80]
    if len(outputs) != 1:
        raise table.buffer.wrong(f"its node {name!r} ({operator}) has {len(outputs)} outputs")
    attributes = {part.text(0): _attribute(part) for part in table.tables(5)}
    return Node(operator, name, tuple(table.texts(0)), outputs[0], attributes)


def _attribute(table: Table) -> Attribute:
    kind = table.integer(3)
    if kind == FLOAT:
        return table.number(4)
    if kind == INT:
        return table.integer(5, "q")
    if kind == STRING:
        return table.text(6)
    if kind == INTS:
        return table.integers(11)
    raise table.buffer.wrong(f"its attribute {table.text(0)!r:.80} is of the type {kind}")


def _tensor(table: Table) -> Tensor:
    name, shape, kind = table.text(6)[:200], table.integers(0), table.integer(1)
    if kind not in TYPES:
        raise table.buffer.wrong(f"its tensor {name!r} is of the type {kind}")
    if len(shape) > LARGEST_RANK or min(shape, default=1) < 1:
        raise table.buffer.wrong(f"its tensor {name!r} has the shape {list(shape[:12])}")
    data, count = table.data(8, 16), math.prod(shape)
    size = count * np.dtype(TYPES[kind]).itemsize
    if not size <= len(data) < size + 16:
        raise table.buffer.wrong(f"its tensor {name!r} of {list(shape)} needs {size} bytes and has {len(data)}")
    exponents = table.integers(13)
    if any(abs(exponent) > LARGEST_EXPONENT for exponent in exponents):
        raise table.buffer.wrong(f"its tensor {name!r} has the exponents {list(exponents[:12])}")
    values = np.frombuffer(data, TYPES[kind], count).astype(np.float32)
    found = re.search(r"layout ==> (\S+)", table.text(7))
    layout = "" if found is None or found[1] == "UNK" else found[1]
    return Tensor(name, shape, values, exponents, layout)


def _shape(value: Table) -> Shape:
    """Return the shape that a ValueInfo gives; empty where it gives none."""
    kind = value.table(1)
    tensor = None if kind is None else kind.table(1)
    shape = None if tensor is None else tensor.table(1)
    dimensions = [] if shape is None else shape.tables(0)
    if len(dimensions) > LARGEST_RANK:
        raise value.buffer.wrong(f"its value {value.text(0)!r:.80} has {len(dimensions)} dimensions")
    numbers = [dimension.table(0) for dimension in dimensions]
    return tuple(0 if number is None else number.integer(1, "q") for number in numbers)
