"""The page that takes this computer's camera: what it looks with, and whom it knows.

No picture comes here: the browser finds faces, hides them and asks a recogniser by itself. It is given the two models,
ONNX Runtime's own build for browsers, and what that one recogniser made of the enrolled people.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uncnn.daemon.output import SCHEMA_VERSION
from uncnn.daemon.people.store import Person, read_people
from uncnn.daemon.web.assets import send_whole
from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.doors import CAMERA_HEADERS
from uncnn.daemon.web.rendering import render
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED, read_pins
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import MODEL_FILE, Card, read_card
from uncnn.plugins.recognisers.reading import read_file

RECOGNISER: Final = "openvino-0095"
"""Small, and a judge: it takes no part in changing a photo, and everybody who is enrolled is known to it."""

FAR: Final = 1e-3
"""False accept rate at which it names somebody."""

RUNTIME: Final = Path(__file__).with_name("onnxruntime")
"""Files of the npm package onnxruntime-web, the larger one compressed."""

_LARGEST: Final = 64_000_000
_MODEL_KIND: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of the runtime."""

    file: str
    kind: str
    encoding: str = ""


_PARTS: Final = {
    "ort.wasm.bundle.min.mjs": _Part("ort.wasm.bundle.min.mjs", "text/javascript; charset=utf-8"),
    "ort-wasm-simd-threaded.wasm": _Part("ort-wasm-simd-threaded.wasm.gz", "application/wasm", "gzip"),
}


async def show_camera(_request: Request) -> Response:
    """Answer with the page, the only one that may take the camera."""
    answer = render("camera", far=FAR)
    answer.headers.update(CAMERA_HEADERS)
    return answer


async def send_camera(_request: Request) -> Response:
    """Answer with what the page has to know of its recogniser and of the enrolled people.

    Raises Refused: the card cannot be read, or the enrolled people cannot.
    """
    try:
        return JSONResponse(await asyncio.to_thread(_camera_json))
    except UncnnError as error:
        raise Refused(503, "camera") from error


async def send_model(request: Request) -> Response:
    """Answer with one of the two models. Raises Refused: there is no such one, or it is not what shipped."""
    path, sha256 = _model(request.path_params["name"])
    try:
        content = await asyncio.to_thread(read_file, path, _LARGEST)
    except OSError as error:
        raise Refused(503, "camera") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise Refused(503, "camera")
    return send_whole(request, content, _MODEL_KIND)


async def send_runtime(request: Request) -> Response:
    """Answer with a file of ONNX Runtime. Raises Refused: there is none of that name."""
    part = _PARTS.get(request.path_params["name"])
    if part is None:
        raise Refused(404, "path")
    content = await asyncio.to_thread((RUNTIME / part.file).read_bytes)
    answer = send_whole(request, content, part.kind)
    if part.encoding:
        answer.headers["Content-Encoding"] = part.encoding
    return answer


def _model(name: str) -> tuple[Path, str]:
    """Return the file of a model, and what it must hash to. Raises Refused: there is none of that name."""
    pins = read_pins()
    if name == "detector":
        return EMBEDDED / OWN_ONNX, pins.detectors[OWN_ONNX]
    if name == "recogniser":
        return EMBEDDED / RECOGNISER / MODEL_FILE, pins.recognisers[RECOGNISER].sha256 or ""
    raise Refused(404, "path")


def _camera_json() -> dict[str, Any]:
    card, people = read_card(EMBEDDED / RECOGNISER), read_people().people
    known = {person.name: _embeddings(person, card) for person in people}
    return {
        "schema_version": SCHEMA_VERSION,
        "recogniser": {
            "name": card.name,
            "input": card.input.model_dump(),
            "template": card.template,
            "threshold": card.threshold(FAR),
        },
        "people": [{"name": name, "embeddings": own} for name, own in known.items() if own],
        "unasked": [name for name, own in known.items() if not own],
    }


def _embeddings(person: Person, card: Card) -> list[list[float]]:
    """Return what the recogniser made of a person's photos; nothing where it was not asked when they were enrolled."""
    own = (each for each in person.templates if (each.recogniser, each.sha256) == (card.name, card.sha256))
    return next((each.embeddings for each in own), [])
