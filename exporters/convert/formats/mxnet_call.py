"""A node of an MXNet graph with what it is given, and the attributes that are asked of it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.mxnet_file import Array, Node
from uncnn.exporters.convert.formats.onnx_graph import Graph


@dataclass(frozen=True, slots=True)
class Value:
    """A value in the graph, and how many dimensions it has."""

    name: str
    rank: int


@dataclass(frozen=True, slots=True)
class Linear:
    """A convolution or a matrix that is not written yet: the normalisation after it goes into its weights."""

    source: Value
    weight: Array  # (filters, channels, kernel, kernel) or (filters, channels)
    bias: Array
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A node with what it is given: a value of the graph, or else the weights of that name."""

    graph: Graph
    node: Node
    inputs: Sequence[Value | Linear | None]
    weights: Sequence[Array | None]

    def wrong(self, what: str) -> FormatError:
        """Return the error that names the file and the node."""
        return self.graph.wrong(f"its {self.node.operator} {self.node.name!r} {what}")

    def value(self, position: int = 0) -> Value:
        """Return an input that comes from the picture."""
        found = self.inputs[position] if position < len(self.inputs) else None
        if not isinstance(found, Value):
            raise self.wrong("takes what no node before it gives")
        return found

    def weight(self, position: int, rank: int) -> Array:
        """Return an input that is a weight of `rank` dimensions."""
        found = self.weights[position] if position < len(self.weights) else None
        if found is None or found.ndim != rank:
            raise self.wrong(f"has no weights of {rank} dimensions as input {position}")
        return found

    def number(self, name: str, default: float | None = None) -> float:
        """Return an attribute that is a number."""
        found = self._literal(name, default)
        if not isinstance(found, int | float):
            raise self.wrong(f"has the {name} {found!r:.80}, which is no number")
        return float(found)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return an attribute that is true or false."""
        return self.node.attributes.get(name, str(default)).lower() in {"true", "1"}

    def pair(self, name: str, default: int) -> list[int]:
        """Return an attribute of two integers; `default` twice where it is left out."""
        found = self._literal(name, ())
        if found == ():
            return [default, default]
        if not (isinstance(found, tuple) and len(found) == 2 and all(isinstance(each, int) for each in found)):
            raise self.wrong(f"has the {name} {found!r:.80}, which is no pair")
        return list(found)

    def word(self, name: str, default: str) -> str:
        """Return an attribute as it is written."""
        return self.node.attributes.get(name, default)

    def _literal(self, name: str, default: object) -> object:
        text = self.node.attributes.get(name)
        if text is None:
            return default
        try:
            return ast.literal_eval(text[:200])
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise self.wrong(f"has the {name} {text!r:.80}, which is no value") from error
