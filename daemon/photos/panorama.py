"""How a panorama is spread over a sphere: without that, a viewer shows a flat strip.

Of Google's Photo Sphere XMP (namespace GPano) the values that say how to project the picture are kept, each read,
checked and written again. Where the camera looked (a compass heading), when, how often and with which program are not.
https://developers.google.com/streetview/spherical-metadata
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.inventory.xmp import NAMESPACE

_MOST_BYTES: Final = 1 << 20  # of a packet that is read
_WHOLE: Final = re.compile(r"\d{1,6}(\.0*)?")
_NUMBER: Final = re.compile(r"[-+]?\d{1,3}(\.\d*)?")
_PROJECTIONS: Final = {name.lower(): name for name in ("equirectangular", "cylindrical")}
_FLAGS: Final = {"true": "True", "false": "False"}
_PIXELS: Final = (
    "CroppedAreaImageWidthPixels",
    "CroppedAreaImageHeightPixels",
    "FullPanoWidthPixels",
    "FullPanoHeightPixels",
    "CroppedAreaLeftPixels",
    "CroppedAreaTopPixels",
    "LargestValidInteriorRectLeft",
    "LargestValidInteriorRectTop",
    "LargestValidInteriorRectWidth",
    "LargestValidInteriorRectHeight",
)
_DEGREES: Final = (
    "PosePitchDegrees",
    "PoseRollDegrees",
    "InitialViewHeadingDegrees",
    "InitialViewPitchDegrees",
    "InitialViewRollDegrees",
    "InitialHorizontalFOVDegrees",
    "InitialVerticalFOVDegrees",
)
_MOST_DEGREES: Final = 360


def projection_of(data: bytes, photo_format: Format) -> dict[str, str]:
    """Return what a file says of its projection, each value as it is written; nothing where it says none."""
    found: dict[str, str] = {}
    for packet in _packets(data, photo_format):
        if NAMESPACE.encode() in packet and len(packet) <= _MOST_BYTES:
            for name, value in _said(packet):
                checked = _checked(name, value.strip())
                if checked is not None:
                    found.setdefault(name, checked)
    return found if "ProjectionType" in found else {}


def _packets(data: bytes, photo_format: Format) -> Iterator[bytes]:
    """Yield the XMP packets of a file; one that makes no sense yields none."""
    packets = FORMATS[photo_format].packets
    if packets is None:
        return
    try:
        yield from packets(data)
    except (ValueError, IndexError, KeyError, struct.error, zlib.error):
        return


def packet_of(projection: Mapping[str, str]) -> bytes:
    """Return an XMP packet that says nothing but the projection, empty where there is none."""
    if not projection:
        return b""
    values = " ".join(f'GPano:{name}="{value}"' for name, value in sorted(projection.items()))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:GPano="{NAMESPACE}" {values}/></rdf:RDF></x:xmpmeta>'
    ).encode("ascii")


def _said(packet: bytes) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the namespace, written as attributes or as elements."""
    try:
        tree: Element = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except Exception:  # defusedxml refuses entities, expat what is no XML
        return
    start = f"{{{NAMESPACE}}}"
    for node in tree.iter():
        if node.tag.startswith(start):
            yield node.tag.removeprefix(start), node.text or ""
        for name, value in node.attrib.items():
            if name.startswith(start):
                yield name.removeprefix(start), value


def _checked(name: str, value: str) -> str | None:
    """Return a value as it is written, None where it is not kept or none of its kind."""
    if name == "ProjectionType":
        return _PROJECTIONS.get(value.lower())
    if name == "UsePanoramaViewer":
        return _FLAGS.get(value.lower())
    if name in _PIXELS and _WHOLE.fullmatch(value):
        return str(int(float(value)))
    if name in _DEGREES and _NUMBER.fullmatch(value) and abs(float(value)) <= _MOST_DEGREES:
        return f"{float(value):.1f}"
    return None
