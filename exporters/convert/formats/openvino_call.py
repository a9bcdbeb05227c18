"""A layer of an OpenVINO graph with what its inputs are, and the attributes that are asked of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.onnx_graph import Array, Graph, Shape
from uncnn.exporters.convert.formats.openvino_file import Layer, listed

Value: TypeAlias = str | Array
"""An array where it is constant, else the name of an ONNX value."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A layer to be written into `graph`; what it is asked for and does not have is a FormatError."""

    graph: Graph
    layer: Layer
    inputs: Sequence[Value]

    def wrong(self, what: str) -> FormatError:
        """Return the error that names the file and the layer."""
        return self.graph.wrong(f"its layer {self.layer.name!r} ({self.layer.kind}) {what}")

    def value(self, position: int = 0) -> Value:
        """Return an input."""
        if position >= len(self.inputs):
            raise self.wrong(f"has {len(self.inputs)} inputs")
        return self.inputs[position]

    def picture(self) -> str:
        """Return the first input, which must come from the picture."""
        value = self.value()
        if not isinstance(value, str):
            raise self.wrong("does not use the picture")
        return value

    def constant(self, position: int) -> Array:
        """Return an input that must be constant."""
        value = self.value(position)
        if isinstance(value, str):
            raise self.wrong(f"needs a constant as input {position}")
        return value

    def steps(self, key: str, count: int, default: int | None = None) -> list[int]:
        """Return an attribute of `count` integers, each below 10,000 and none negative."""
        text = self.layer.attributes.get(key)
        if text is None and default is not None:
            return [default] * count
        parts = listed(text or "")
        if len(parts) != count or not all(re.fullmatch(r"\s*[0-9]{1,4}\s*", part) for part in parts):
            raise self.wrong(f"needs {count} small integers as {key}, not {text!r:.60}")
        return [int(part) for part in parts]

    def axis(self) -> int:
        """Return the attribute `axis`."""
        text = self.layer.attributes.get("axis", "")
        if not re.fullmatch(r"-?[0-7]", text):
            raise self.wrong(f"needs an axis, not {text!r:.60}")
        return int(text)

    def number(self, key: str) -> float:
        """Return an attribute that is a finite number."""
        text = self.layer.attributes.get(key, "")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(f"needs a number as {key}, not {text!r:.60}")
        return value

    def flag(self, key: str) -> bool:
        """Return an attribute that is true or false, false where it is left out."""
        return self.layer.attributes.get(key, "false").lower() in {"true", "1"}

    def window(self, kernel: Shape, *, dilated: bool) -> dict[str, Any]:
        """Return ONNX's attributes of a convolution, `dilated`, or a pool whose window is `kernel`."""
        strides, dilations = self.steps("strides", len(kernel)), self.steps("dilations", len(kernel), 1)
        if min([*strides, *dilations, *kernel]) < 1:
            raise self.wrong("has a stride, a dilation or a window of nothing")
        reach = [dilation * (side - 1) + 1 for dilation, side in zip(dilations, kernel, strict=True)]
        pads = self._pads(strides, reach)
        if any(pad >= side for pad, side in zip(pads, reach * 2, strict=True)):
            raise self.wrong(f"is padded by {pads}, more than its window")
        attributes = {"kernel_shape": list(kernel), "strides": strides, "pads": pads}
        if dilated:
            return {**attributes, "dilations": dilations}
        if any(dilation != 1 for dilation in dilations):
            raise self.wrong("is a dilated pool")
        return attributes

    def _pads(self, strides: list[int], reach: list[int]) -> list[int]:
        """Return the padding before and after; `same` makes the output the input's size over the stride, rounded up."""
        mode, rank = self.layer.attributes.get("auto_pad", "explicit"), len(reach)
        if mode == "valid":
            return [0] * (2 * rank)
        if mode not in {"same_upper", "same_lower"}:
            return [*self.steps("pads_begin", rank, 0), *self.steps("pads_end", rank, 0)]
        sides = self.layer.input_shapes[0][2:]
        if len(sides) != rank or min(sides) < 1:
            raise self.wrong(f"is padded as {mode}, which an input of {self.layer.input_shapes[0]} does not tell")
        totals = [
            max(0, (math.ceil(side / stride) - 1) * stride + width - side)
            for side, stride, width in zip(sides, strides, reach, strict=True)
        ]
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        return [*less, *more] if mode == "same_upper" else [*more, *less]
