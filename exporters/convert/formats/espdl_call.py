"""A node of an ESP-DL graph with what its inputs are, and the attributes that are asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.espdl_file import Node, Tensor
from uncnn.exporters.convert.formats.espdl_weights import plain
from uncnn.exporters.convert.formats.onnx_graph import Array, Graph

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # NCHW to NHWC and back
LARGEST_STEP = 4096  # of a stride, dilation, padding, window or group


@dataclass(frozen=True, slots=True)
class Value:
    """A value between nodes: `moved` where the file has it as NHWC and the ONNX value of this name is NCHW."""

    name: str
    moved: bool


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A node to be written into `graph`, with its inputs, None where one is left out.

    What it is asked for and does not have is a FormatError.
    """

    graph: Graph
    node: Node
    operands: Sequence[Value | Tensor | None]

    def wrong(self, what: str) -> FormatError:
        """Return the error that names the file and the node."""
        return self.graph.wrong(f"its node {self.node.name!r} ({self.node.operator}) {what}")

    def value(self, position: int = 0) -> Value:
        """Return an input that must come from the picture."""
        operand = self._operand(position)
        if not isinstance(operand, Value):
            raise self.wrong(f"needs what comes from the picture as input {position}")
        return operand

    def tensor(self, position: int) -> Tensor:
        """Return an input that must be constant."""
        operand = self._operand(position)
        if not isinstance(operand, Tensor):
            raise self.wrong(f"needs a constant as input {position}")
        return operand

    def constants(self, start: int) -> list[Array]:
        """Return the constants from `start` on, as their shapes say."""
        return [plain(self.graph, self.tensor(position)) for position in range(start, len(self.operands))]

    def picture(self) -> str:
        """Return the first input as NCHW."""
        value = self.value()
        return value.name if value.moved else self.graph.add("Transpose", value.name, perm=TO_FIRST)

    def stored(self, position: int = 0) -> str:
        """Return an input with its axes as the file has them."""
        value = self.value(position)
        return self.graph.add("Transpose", value.name, perm=TO_LAST) if value.moved else value.name

    def integers(self, key: str, count: int, default: int | None = None) -> list[int]:
        """Return an attribute of `count` integers, each small and none negative."""
        found = self.node.attributes.get(key, None if default is None else (default,) * count)
        if not isinstance(found, tuple) or len(found) != count or not all(0 <= n <= LARGEST_STEP for n in found):
            raise self.wrong(f"needs {count} small integers as {key}, not {found!s:.60}")
        return list(found)

    def integer(self, key: str, default: int) -> int:
        """Return an attribute that is a small integer."""
        found = self.node.attributes.get(key, default)
        if not isinstance(found, int) or abs(found) > LARGEST_STEP:
            raise self.wrong(f"needs a small integer as {key}, not {found!r:.60}")
        return found

    def window(self, kernel: list[int], *, dilated: bool) -> dict[str, Any]:
        """Return ONNX's attributes of a convolution, `dilated`, or a pool whose window is `kernel`."""
        strides, pads = self.integers("strides", 2, 1), self.integers("pads", 4, 0)
        dilations = self.integers("dilations", 2, 1)
        reach = [dilation * (side - 1) + 1 for dilation, side in zip(dilations, kernel, strict=True)]
        if min([*strides, *dilations, *kernel]) < 1 or any(p >= side for p, side in zip(pads, reach * 2, strict=True)):
            raise self.wrong(f"has a window {kernel} with strides {strides}, dilations {dilations} and pads {pads}")
        attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
        return {**attributes, "dilations": dilations} if dilated else attributes

    def _operand(self, position: int) -> Value | Tensor | None:
        return self.operands[position] if position < len(self.operands) else None
