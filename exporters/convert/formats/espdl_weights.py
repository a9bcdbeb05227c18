"""Weights of an ESP-DL file in the order and the scale that ONNX has them in."""

from __future__ import annotations

import re

import numpy as np

from uncnn.exporters.convert.formats.espdl_file import Floats, Tensor
from uncnn.exporters.convert.formats.onnx_graph import Graph

LAYOUT = re.compile(r"\(?N/?(16|8)\)?HWC(16|8)(_UNALIGNED)?")


def plain(graph: Graph, tensor: Tensor) -> Floats:
    """Return a constant that is stored in the order of its shape.

    Raises:
        FormatError: it has the order of a filter, or a scale for each channel and more than these.
    """
    if tensor.layout:
        raise graph.wrong(f"its tensor {tensor.name!r} has the layout {tensor.layout}, and is no filter")
    if tensor.exponents and len(tensor.exponents) not in {1, tensor.values.size}:
        raise graph.wrong(f"its tensor {tensor.name!r} of {tensor.shape} has {len(tensor.exponents)} exponents")
    return _scaled(tensor, tensor.values).reshape(tensor.shape)


def filters(graph: Graph, tensor: Tensor, *, grouped: bool) -> Floats:
    """Return the filters of a convolution, (N, C, H, W).

    The vector unit takes 16 (8 of int16) filters at once, so that is how they lie: ``(N / 16, H, W, C, 16)`` flat, then
    the filters that are left over, as ``(n, H, W, C)`` or, where the convolution is grouped, as ``(C, H, W, n)``. The
    shape beside them says (H, W, C, N), grouped (H, W, N, C).

    Raises:
        FormatError: the tensor is none of these.
    """
    found = LAYOUT.fullmatch(tensor.layout)
    if found is None or found[1] != found[2] or len(tensor.shape) != 4:
        raise graph.wrong(f"its filters {tensor.name!r} of {tensor.shape} have the layout {tensor.layout!r:.40}")
    height, width, channels, number = tensor.shape
    if grouped:
        channels, number = number, channels
    if tensor.exponents and len(tensor.exponents) not in {1, number}:
        raise graph.wrong(f"its filters {tensor.name!r} of {tensor.shape} have {len(tensor.exponents)} exponents")
    lanes = int(found[1])
    whole = number // lanes * lanes
    head, tail = np.split(tensor.values, [whole * height * width * channels])
    first = head.reshape(-1, height, width, channels, lanes).transpose(0, 4, 3, 1, 2)
    if grouped:
        rest = tail.reshape(channels, height, width, number - whole).transpose(3, 0, 1, 2)
    else:
        rest = tail.reshape(number - whole, height, width, channels).transpose(0, 3, 1, 2)
    return _scaled(tensor, np.concatenate([first.reshape(whole, channels, height, width), rest]))


def _scaled(tensor: Tensor, values: Floats) -> Floats:
    """Return `values` times two to the tensor's exponent, or to each filter's own."""
    exponents = np.array(tensor.exponents or (0,), np.int32)
    return np.ldexp(values, exponents.reshape(-1, *[1] * (values.ndim - 1)))
