"""The detector: the published one, which comes with uncnn converted, or weights of the user's, converted once.

What ships is known by its hash. What is converted here has its hash in its name, and is shown to be the same network as
its weights, and to find the faces of a known picture, before it gets that name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from uncnn.exporters.registry.catalog import read_catalog
from uncnn.exporters.registry.choice import ModelsError
from uncnn.exporters.registry.pins import EMBEDDED, read_pins
from uncnn.plugins.api import Detector, DetectorSource
from uncnn.plugins.recognisers.cards import sha256_of
from uncnn.plugins.registry import detector_entry, distribution_of, make_detector

RETINAFACE: Final = "retinaface"
"""The detector that is used where no other is chosen: the one whose files are pinned."""

OWN_DETECTOR = "retinaface-mobilenet0.25/retinaface-mobilenet0.25.safetensors"
OWN_ONNX = "retinaface-mobilenet0.25/retinaface-mobilenet0.25.onnx"
"""What ships, below the package's folder of models."""

SECOND_ONNX = "centerface/centerface.onnx"
SECOND_SOURCE_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
"""The second detector, CenterFace, and the authors' file that `exporters.centerface` made it of."""

PUBLISHED = "retinaface-mobilenet0.25.pth"
LARGER = "retinaface-resnet50.pth"
DETECTOR_WEIGHTS = (LARGER, PUBLISHED)
"""Looked for in this order in each folder: the larger network first, where somebody put it."""

DETECTOR_EXPORT: Final = 2  # counts up when the export changes: an older one is not taken
PARITY: Final = 1e-3  # of |torch - ONNX Runtime| in the network's outputs, which are of the order of 1 to 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DetectorFiles:
    """A detector's two files, and what each must hash to."""

    weights: Path  # for torch
    weights_sha256: str
    onnx: Path  # for ONNX Runtime
    onnx_sha256: str


@dataclass(frozen=True, slots=True)
class ChosenDetector:
    """The detector of a run, and the files that it may be made of."""

    files: DetectorFiles  # of RetinaFace
    name: str = RETINAFACE
    distribution: str = ""  # that brought another, and its version: all that is known of it

    @property
    def plugin(self) -> str:
        """Return its name where it is not RetinaFace; "" where it is."""
        return "" if self.name == RETINAFACE else self.name

    def load(self, device: str, torch: bool) -> Detector:
        """Return the detector, loaded; `torch`: it may compute in torch.

        Raises:
            DetectorError, UnknownDetector: it cannot be loaded, or its files are not what they should be.
        """
        files = {
            "retinaface.torch": (self.files.weights, self.files.weights_sha256),
            "retinaface.onnx": (self.files.onnx, self.files.onnx_sha256),
            "centerface.onnx": second_onnx(),
        }
        return make_detector(self.name, DetectorSource(device, torch, files))


def chosen_detector(name: str, files: DetectorFiles) -> ChosenDetector:
    """Return the detector of this name; nothing of it is imported. Raises UnknownDetector: there is none."""
    return ChosenDetector(files, name, "" if name == RETINAFACE else distribution_of(detector_entry(name)))


def find_weights(folders: Sequence[Path], embedded: Path = EMBEDDED) -> tuple[Path, str, list[str]]:
    """Return the weights that a run takes, their sha256, and in words what bears a name that it has no right to.

    Raises:
        ModelsError: there are none; the message says how to get them.
    """
    notices: list[str] = []
    for folder in folders:
        for name in DETECTOR_WEIGHTS:
            file = folder / name
            if not file.is_file():
                continue
            digest = sha256_of(file)
            if name == LARGER:
                return file, digest, notices
            if digest == published_sha256():
                return _own(embedded, notices)
            notices.append(f"{file} is not the published file of that name: it is not used")
    return _own(embedded, notices)


def published_sha256() -> str:
    """Return the hash of the published weights, of which those that ship were made."""
    entry = next(entry for entry in read_catalog().detectors if entry.installs == PUBLISHED)
    return entry.files[0].sha256 or ""


def _own(embedded: Path, notices: list[str]) -> tuple[Path, str, list[str]]:
    if not (embedded / OWN_DETECTOR).is_file():
        raise ModelsError(
            f"RetinaFace's weights ({OWN_DETECTOR}), which come with uncnn, are missing from {embedded}: "
            "install uncnn again"
        )
    return embedded / OWN_DETECTOR, read_pins().detectors[OWN_DETECTOR], notices


def second_onnx() -> tuple[Path, str]:
    """Return the file of the second detector, and what it must hash to."""
    return EMBEDDED / SECOND_ONNX, read_pins().detectors[SECOND_ONNX]


def convert(weights: Path, models: Path) -> DetectorFiles:
    """Convert weights that are not ours into the folder `models`, in this process, with torch; return both files.

    Raises:
        DetectorError: they are no RetinaFace's, or were changed. ModelsError, CanaryError: the export does not fit.
    """
    digest = sha256_of(weights)
    return _export(weights, digest, models, _stem(weights, digest))


def files_of(weights: Path, models: Path, convert: Callable[[Path, Path], DetectorFiles] = convert) -> DetectorFiles:
    """Return the two files of a detector; weights that are not ours are converted once, into the folder `models`.

    Raises:
        What `convert` does.
    """
    pins = read_pins().detectors
    digest = sha256_of(weights)
    if digest in (published_sha256(), pins[OWN_DETECTOR]):
        return DetectorFiles(weights, digest, EMBEDDED / OWN_ONNX, pins[OWN_ONNX])
    stem = _stem(weights, digest)
    for file in sorted(models.glob(f"{stem}*.onnx")):
        expected = file.stem.removeprefix(stem)
        if sha256_of(file) == expected:
            return DetectorFiles(weights, digest, file, expected)
        logger.warning("%s has another sha256 than its name says: it is made again", file)
        file.unlink()
    return convert(weights, models)


def _stem(weights: Path, digest: str) -> str:
    """Return how the names of what was made of such weights begin; the hash of the file itself follows."""
    return f"{weights.stem}-{digest[:16]}-{DETECTOR_EXPORT}-"


def _export(weights: Path, digest: str, models: Path, stem: str) -> DetectorFiles:
    from uncnn.plugins.detectors.retinaface_network import export_onnx

    models.mkdir(parents=True, exist_ok=True)
    temporary = models / f".{weights.stem}.{uuid4().hex}.tmp"
    try:
        export_onnx(weights, temporary)
        made = sha256_of(temporary)
        _prove(DetectorFiles(weights, digest, temporary, made))
        file = temporary.replace(models / f"{stem}{made}.onnx")
    finally:
        temporary.unlink(missing_ok=True)
    return DetectorFiles(weights, digest, file, made)


def _prove(files: DetectorFiles) -> None:
    """Show that an export is the network of its weights, and that it sees.

    Raises:
        ModelsError: torch and ONNX Runtime differ. CanaryError: it does not find known faces.
    """
    import numpy as np

    from uncnn.plugins.detectors.retinaface import load_onnx
    from uncnn.plugins.detectors.retinaface_network import load_torch
    from uncnn.plugins.recognisers import canaries

    torch_one = load_torch(files.weights, sha256=files.weights_sha256)
    exported = load_onnx(files.onnx, ["CPUExecutionProvider"], sha256=files.onnx_sha256)
    pictures = torch_one.forward.input_format.prepare([canaries.picture()], 160, 320)
    pairs = zip(torch_one.forward(pictures), exported.forward(pictures), strict=True)
    apart = max(float(np.nan_to_num(np.abs(one - other), nan=np.inf).max()) for one, other in pairs)
    if not apart <= PARITY:
        raise ModelsError(
            f"{files.weights}: torch and ONNX Runtime differ by {apart:.1e} over it, more than {PARITY:.0e}; install "
            "another version of one of them, or take these weights away"
        )
    canaries.check_detector(exported)
