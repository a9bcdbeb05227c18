"""The process that reads a folder of faces for a calibration: it decodes strangers' bytes, so it is in a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.protect.processes import Child, ProcessDied
from uncnn.daemon.protect.wire import Ask, Handlers, Report, RequestError
from uncnn.daemon.sandbox.rules import sandbox_for
from uncnn.exporters.registry.detectors import DetectorFiles

if TYPE_CHECKING:
    from uncnn.exporters.calibration.faces import Look
    from uncnn.plugins.api import Pixels
    from uncnn.plugins.geometry import Floats

_SECONDS: Final = 120  # for one photo, and to load the detector
_MODULE: Final = "uncnn.exporters.calibration.faces"


@dataclass(frozen=True, slots=True)
class Load(Ask[None]):
    """Load the detector."""


@dataclass(frozen=True, slots=True)
class Read:
    """What there is in a photo of a face."""

    why_not: str  # it cannot be used; "": it can
    landmarks: list[list[float]]


@dataclass(frozen=True, slots=True)
class ReadFace(Ask[Read]):
    """Read the photo of a face, and write its patch."""

    photo: Path
    patch: Path


@contextmanager
def face_reader(detector: DetectorFiles, device: str) -> Iterator[Look]:
    """Give what looks at photos with this detector in a process of its own; one that it dies of is left out.

    Raises RequestError, ProcessDied: the detector does not load. FolderError: the spool cannot be written.
    """
    sweep_workspaces()
    with workspace() as spool:
        sandbox = sandbox_for(spool, [detector.onnx.resolve()], device)
        make = partial(_make_reader, str(detector.onnx.resolve()), detector.onnx_sha256, device)
        photo, patch = spool / "photo", spool / "patch.npy"

        def started() -> Child:
            child = Child("face reader", make, sandbox, [_MODULE])
            child.call(Load(), _SECONDS)
            return child

        reader = started()

        def look(data: bytes) -> tuple[Pixels, Floats] | str:
            nonlocal reader
            photo.write_bytes(data)
            try:
                answer = reader.call(ReadFace(photo, patch), _SECONDS)
            except RequestError as error:
                return f"cannot be read ({error})"
            except ProcessDied as error:
                reader = started()
                return f"cannot be read ({error})"
            if answer.why_not:
                return answer.why_not
            return np.load(patch, allow_pickle=False), np.array(answer.landmarks, np.float64)

        try:
            yield look
        finally:
            reader.close()


def _make_reader(onnx: str, sha256: str, device: str) -> Handlers:
    from uncnn.exporters.calibration.faces import look_with
    from uncnn.plugins.detectors.retinaface import load_onnx
    from uncnn.plugins.recognisers.sessions import providers_for

    look = look_with(load_onnx(Path(onnx), providers_for(device), sha256=sha256))

    def read(asked: ReadFace, _report: Report) -> Read:
        found = look(asked.photo.read_bytes())
        if isinstance(found, str):
            return Read(found, [])
        np.save(asked.patch, found[0], allow_pickle=False)
        return Read("", found[1].tolist())

    return {Load: lambda _asked, _report: None, ReadFace: read}
