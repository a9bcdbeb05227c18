"""Reads a recogniser as OpenVINO writes it: a graph in XML beside its weights, the "intermediate representation".

The format is that of https://docs.openvino.ai/2024/documentation/openvino-ir-format.html, versions 10 and 11:
`<layers>` with their attributes and the shapes of their ports, `<edges>` between ports, and constants that name an
offset and a size in the `.bin`. OpenVINO's own runtime is large and writes no ONNX, so the XML is read here, and the
runtime is what tests compare with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.onnx_graph import LARGEST, LARGEST_RANK, Array, Shape

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

REMEDY = "fetch both files, .xml and .bin, of the model again"
VERSIONS = ("10", "11")
LARGEST_XML = 8 * 2**20  # bytes; a network of a thousand layers takes half a megabyte
LARGEST_BIN = 2**30  # bytes
TYPES = {"f64": "<f8", "f32": "<f4", "f16": "<f2", "i64": "<i8", "i32": "<i4", "i8": "i1", "u8": "u1"}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer of the graph."""

    kind: str  # Convolution, Add, Const, ...
    name: str
    attributes: Mapping[str, str]
    sources: tuple[str, ...]  # the ids of the layers that its inputs come from
    input_shapes: tuple[Shape, ...]
    shape: Shape  # of its output, -1 where it is not fixed
    values: Array | None  # of a Const: floats as float32, integers as int64


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The whole graph as read."""

    name: str
    layers: Mapping[str, Layer]  # by id, each after its sources


def read_openvino(xml: Path, weights: Path) -> Network:
    """Return the graph in `xml` with the constants in `weights`.

    Raises:
        FormatError: a file is missing, too large, no such file, or contradicts itself or the other one.
    """
    root = _parse(xml)
    return _Reader(xml, _read(weights, LARGEST_BIN)).network(root)


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error
    if len(data) > limit:
        raise FormatError(f"{path}: it is larger than {limit} bytes, more than any recogniser needs; {REMEDY}")
    return data


def _parse(path: Path) -> Element:
    data = _read(path, LARGEST_XML)
    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise FormatError(f"{path}: is no OpenVINO graph ({error}); {REMEDY}") from error
    if root.tag != "net" or root.get("version") not in VERSIONS:
        found = f"<{root.tag[:40]} version={root.get('version')!r:.20}>"
        raise FormatError(f'{path}: expected <net version="10" or "11">, found {found}; {REMEDY}')
    return root


class _Reader:
    """Turns elements into layers, and refuses what does not fit."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path, self._data = path, data
        self._constants: dict[tuple[object, ...], Array] = {}
        self._left = min(4 * len(data), LARGEST)  # values that constants may have: they share few bytes

    def wrong(self, what: str) -> FormatError:
        return FormatError(f"{self._path}: {what}; {REMEDY}")

    def network(self, root: Element) -> Network:
        elements = self._by_id(root)
        sources = self._sources(root, elements)
        try:
            order = [*TopologicalSorter({key: list(found.values()) for key, found in sources.items()}).static_order()]
        except CycleError as error:
            raise self.wrong(f"its layers go in a circle ({' -> '.join(error.args[1][:5])})") from error
        layers = {key: self._layer(elements[key], sources[key]) for key in order}
        return Network(root.get("name", "")[:100] or "openvino", layers)

    def _by_id(self, root: Element) -> dict[str, Element]:
        elements = {element.get("id", ""): element for element in root.iterfind("layers/layer")}
        if not elements or len(elements) != len(root.findall("layers/layer")):
            raise self.wrong("its layers are missing, or two have one id")
        return elements

    def _sources(self, root: Element, elements: Mapping[str, Element]) -> dict[str, dict[int, str]]:
        """Return, for every layer's id, the ids of its sources by input position."""
        inputs = {key: _ports(element, "input") for key, element in elements.items()}
        outputs = {key: _ports(element, "output")[:1] for key, element in elements.items()}
        sources: dict[str, dict[int, str]] = {key: {} for key in elements}
        for edge in root.iterfind("edges/edge"):
            start, end = edge.get("from-layer", ""), edge.get("to-layer", "")
            port = edge.get("to-port", "")
            if start not in elements or edge.get("from-port") not in outputs[start] or port not in inputs.get(end, ()):
                raise self.wrong(f"its edge {dict(edge.attrib)!r:.120} joins no input to a layer's first output")
            sources[end][inputs[end].index(port)] = start
        for key, ports in inputs.items():
            if len(sources[key]) != len(ports):
                raise self.wrong(f"an input of its layer {elements[key].get('name', key)!r:.80} comes from nowhere")
        return sources

    def _layer(self, element: Element, sources: Mapping[int, str]) -> Layer:
        data = element.find("data")
        attributes: dict[str, str] = {} if data is None else data.attrib
        kind, name = element.get("type", "")[:80], element.get("name", "")[:80]
        shapes = [self._port_shape(port) for port in element.iterfind("output/port")]
        inputs = tuple(self._port_shape(port) for port in element.iterfind("input/port"))
        ordered = tuple(sources[position] for position in sorted(sources))
        values = self._values(name, attributes) if kind == "Const" else None
        return Layer(kind, name, attributes, ordered, inputs, shapes[0] if shapes else (), values)

    def _port_shape(self, port: Element) -> Shape:
        return tuple(self.integer(side.text or "") for side in port.iterfind("dim"))

    def integer(self, text: str) -> int:
        if not re.fullmatch(r"\s*-?[0-9]{1,15}\s*", text, re.ASCII):
            raise self.wrong(f"expected an integer, found {text!r:.40}")
        return int(text)

    def _values(self, name: str, attributes: Mapping[str, str]) -> Array:
        """Return a constant; the same bytes that are asked for again are read once."""
        kind = attributes.get("element_type", "")
        offset, size = self.integer(attributes.get("offset", "")), self.integer(attributes.get("size", ""))
        shape = tuple(self.integer(side) for side in listed(attributes.get("shape", ""))[: LARGEST_RANK + 1])
        if kind not in TYPES:
            raise self.wrong(f"its constant {name!r} is {kind!r:.20}, and only {', '.join(TYPES)} are understood")
        wanted = math.prod(shape) * np.dtype(TYPES[kind]).itemsize
        if (
            min(shape, default=1) < 1
            or len(shape) > LARGEST_RANK
            or size != wanted
            or offset < 0
            or offset + size > len(self._data)
        ):
            raise self.wrong(
                f"its constant {name!r} of {list(shape)} {kind} is {size} bytes at {offset}, and the .bin has "
                f"{len(self._data)}"
            )
        key = (offset, shape, kind)
        if key not in self._constants:
            self._left -= math.prod(shape)
            if self._left < 0:
                raise self.wrong("its constants are too many, or share more of the .bin than a true file's do")
            values = np.frombuffer(self._data, TYPES[kind], math.prod(shape), offset).reshape(shape)
            self._constants[key] = values.astype(np.float32 if values.dtype.kind == "f" else np.int64)
        return self._constants[key]


def _ports(element: Element, side: str) -> list[str]:
    return [port.get("id", "") for port in element.iterfind(f"{side}/port")]


def listed(text: str) -> list[str]:
    """Return the parts of a list such as ``1, 3, 128, 128``."""
    return text.split(",") if text.strip() else []
