"""MXNet's two files read: the graph as JSON and the weights as a list of arrays.

The list is that of `src/ndarray/ndarray.cc` (NDArray::Save) in Apache MXNet: little endian, a magic number, arrays with
their shapes, then their names. The last MXNet, 1.9.1 of a retired project, wants a numpy that torch has left behind.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.exporters.convert.formats import FormatError

Array: TypeAlias = npt.NDArray[np.float32]

REMEDY = "download both files again, or export the model to ONNX where it was made"

LIST_MAGIC = 0x112
ARRAY_MAGICS = {0xF993FAC8: 1, 0xF993FAC9: 2, 0xF993FACA: 3}
NUMBERS = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}
LARGEST_RANK = 8


@dataclass(frozen=True, slots=True)
class Node:
    """An operation: its attributes as text, and the nodes that its inputs come from."""

    name: str
    operator: str
    attributes: Mapping[str, str]
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A graph in an order in which every input stands before its use; `output` is the embedding's node."""

    nodes: tuple[Node, ...]
    output: int
    weights: Mapping[str, Array]  # float32, by the name of their node


def read_mxnet(symbol: Path, params: Path) -> Network:
    """Return the network in the graph `symbol` and the weights `params`.

    Raises:
        FormatError: a file is missing, damaged or hostile.
    """
    nodes, output = _graph(symbol)
    return Network(nodes, output, _weights(params))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _graph(path: Path) -> tuple[tuple[Node, ...], int]:
    try:
        symbol = json.loads(_content(path))
        nodes = tuple(_node(entry, number) for number, entry in enumerate(symbol["nodes"]))
        ((output, _, *_),) = symbol["heads"]
        if not isinstance(output, int) or not 0 <= output < len(nodes):
            raise ValueError(f"its output {output!r} is not one of {len(nodes)} nodes")
    except FormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        complaint = " ".join(str(error).split())[:200]
        raise FormatError(f"{path}: no MXNet graph with one output ({complaint}); {REMEDY}") from error
    return nodes, output


def _node(entry: Mapping[str, Any], number: int) -> Node:
    attributes = entry.get("attrs") or entry.get("attr") or entry.get("param") or {}  # newest name first
    inputs = tuple(int(each[0]) for each in entry["inputs"])
    if not all(0 <= each < number for each in inputs):
        raise ValueError(f"node {number} takes what comes after it")
    texts = {str(key): str(value) for key, value in attributes.items()}
    return Node(str(entry["name"])[:120], str(entry["op"])[:120], texts, inputs)


def _weights(path: Path) -> dict[str, Array]:
    reader = _Reader(path, _content(path))
    magic, _, count = reader.take("<QQQ")
    if magic != LIST_MAGIC:
        raise reader.wrong(f"begins with {magic:#x} and not with {LIST_MAGIC:#x}: it is no MXNet list of arrays")
    arrays = []
    for _ in range(count):  # each takes bytes, so that the end of the file ends a lie
        arrays.append(reader.array())
    (names,) = reader.take("<Q")
    if names != count:
        raise reader.wrong(f"has {count} arrays and {names} names")
    weights = {reader.name(): array for array in arrays}
    reader.end()
    return weights


class _Reader:
    """Reads the list's values one after the other, and knows where it stands."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content, self._offset = path, content, 0

    def wrong(self, what: str) -> FormatError:
        return FormatError(f"{self._path}: byte {self._offset}: {what}; {REMEDY}")

    def raw(self, count: int) -> bytes:
        left = len(self._content) - self._offset
        if count > left:
            raise self.wrong(f"ends after {left} bytes of {count}")
        self._offset += count
        return self._content[self._offset - count : self._offset]

    def take(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.raw(struct.calcsize(form)))

    def array(self) -> Array:
        shape = self._shape()
        self.take("<ii")  # the device that it was on
        (kind,) = self.take("<i")
        if kind not in NUMBERS:
            raise self.wrong(f"has numbers of the unknown kind {kind}")
        number = np.dtype(NUMBERS[kind])
        values = np.frombuffer(self.raw(math.prod(shape) * number.itemsize), number)
        return values.astype(np.float32).reshape(shape)

    def _shape(self) -> Sequence[int]:
        """Return an array's shape; before the first magic number it was two 32-bit words and more."""
        (magic,) = self.take("<I")
        version = ARRAY_MAGICS.get(magic, 0)
        if version >= 2 and self.take("<i") != (0,):
            raise self.wrong("has a sparse array")
        rank = magic if version == 0 else self.take("<I")[0]
        if not 1 <= rank <= LARGEST_RANK:
            raise self.wrong(f"has an array of {rank} dimensions")
        shape = self.take(f"<{rank}{'I' if version == 0 else 'q'}")
        if min(shape) < 0:
            raise self.wrong(f"has an array of shape {shape}")
        return shape

    def name(self) -> str:
        (length,) = self.take("<Q")
        return self.raw(length).decode("utf-8", "replace").partition(":")[2]  # after `arg:` or `aux:`

    def end(self) -> None:
        if self._offset != len(self._content):
            raise self.wrong(f"has {len(self._content) - self._offset} bytes too many")
