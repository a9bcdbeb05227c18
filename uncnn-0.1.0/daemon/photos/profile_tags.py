"""The values of an ICC profile's tags, and nothing that is stored between or behind them.

A tag says how long it is, and its type says how long its values are: what is left over, and the bytes that are
reserved, may hold anything. ICC.1:2022, 10: the types; its section numbers stand beside each.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

Part: TypeAlias = tuple[int, int]
"""Where values start in a tag, and where they end."""

_PARAMETERS: Final = (1, 3, 4, 5, 7)  # of a parametric curve, by its kind
_MOST_PARAMETER: Final = 64  # gammas stay below 10; text, as numbers of 16.16 bits, begins at 8224
_MOST_TRISTIMULUS: Final = 4
_RESERVED: Final = 8  # the name of the type, and four bytes that are reserved


def bare(content: bytes) -> bytes:
    """Return a tag with its values alone, and zeros where its type has none.

    Raises ValueError where they are cut short, impossible, or of another type.
    """
    result = bytearray(len(content))
    result[:4] = content[:4]
    try:
        parts = list(_PARTS[content[:4]](content))
    except (struct.error, KeyError, IndexError) as error:
        raise ValueError("a tag whose values make no sense") from error
    end = max((end for _, end in parts), default=_RESERVED)
    if end > len(content) or any(start < _RESERVED for start, _ in parts):
        raise ValueError("a tag that ends before its values do")
    for start, stop in parts:
        result[start:stop] = content[start:stop]
    return bytes(result[:end])


def _numbers(content: bytes, start: int, count: int, most: float) -> Part:
    """Return where numbers of 16.16 bits stand, each at most so large (4.6)."""
    if any(abs(number) > most * 65536 for number in struct.unpack_from(f">{count}i", content, start)):
        raise ValueError("a number that is no colour")
    return start, start + 4 * count


def _tristimulus(content: bytes) -> Iterator[Part]:  # 10.31
    yield _numbers(content, 8, 3, _MOST_TRISTIMULUS)


def _matrix(content: bytes) -> Iterator[Part]:  # 10.22, of `chad`
    yield _numbers(content, 8, 9, _MOST_TRISTIMULUS)


def _code_points(_content: bytes) -> Iterator[Part]:  # 10.3
    yield 8, 12


def _curve(content: bytes, start: int = 0) -> Iterator[Part]:  # 10.6 and 10.18
    if content[start : start + 4] == b"para":
        kind = struct.unpack_from(">H", content, start + 8)[0]
        yield start + 8, start + 10
        yield _numbers(content, start + 12, _PARAMETERS[kind], _MOST_PARAMETER)
    elif content[start : start + 4] == b"curv":
        yield start + 8, start + 12 + 2 * struct.unpack_from(">I", content, start + 8)[0]
    else:
        raise ValueError("a curve of another type")


def _table(content: bytes) -> Iterator[Part]:  # 10.10 and 10.11: lut16Type and lut8Type
    inputs, outputs, grid = content[8:11]
    wide = content[:4] == b"mft2"
    before, behind = struct.unpack_from(">HH", content, 48) if wide else (256, 256)
    start, width = (52, 2) if wide else (48, 1)
    yield 8, 11
    yield 12, start + width * (before * inputs + grid**inputs * outputs + behind * outputs)


def _elements(content: bytes) -> Iterator[Part]:  # 10.12 and 10.13: lutAToBType and lutBToAType
    inputs, outputs = content[8:10]
    device, connection = (inputs, outputs) if content[:4] == b"mAB " else (outputs, inputs)
    yield 8, 10
    yield 12, 32
    at_b, at_matrix, at_m, at_grid, at_a = struct.unpack_from(">5I", content, 12)
    for start, count in ((at_b, connection), (at_m, connection), (at_a, device)):
        yield from _curves(content, start, count)
    if at_matrix:
        yield _numbers(content, at_matrix, 12, _MOST_PARAMETER)
    if at_grid:
        points = math.prod(content[at_grid : at_grid + inputs]) * outputs
        yield at_grid, at_grid + 17
        yield at_grid + 20, at_grid + 20 + points * content[at_grid + 16]


def _curves(content: bytes, start: int, count: int) -> Iterator[Part]:
    """Yield the parts of curves, each of which begins at a multiple of four bytes; at 0 there are none."""
    for _ in range(count if start else 0):
        for part in _curve(content, start):
            yield start, start + 4
            yield part
        start = part[1] + -part[1] % 4


_PARTS: Final[Mapping[bytes, Callable[[bytes], Iterator[Part]]]] = {
    b"XYZ ": _tristimulus,
    b"sf32": _matrix,
    b"cicp": _code_points,
    b"curv": _curve,
    b"para": _curve,
    b"mft1": _table,
    b"mft2": _table,
    b"mAB ": _elements,
    b"mBA ": _elements,
}
