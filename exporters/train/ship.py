"""What a recipe writes: a student as ONNX with its card and thresholds, the detector as half-precision weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from uncnn.exporters.build import build
from uncnn.exporters.calibration.calibrate import apply, calibrate_faces
from uncnn.exporters.calibration.faces import read_faces
from uncnn.exporters.formats.torch_export import onnx_of
from uncnn.exporters.store import OWN_DETECTOR
from uncnn.exporters.train.networks import SIDE, Student
from uncnn.exporters.train.students import MEAN, STD
from uncnn.plugins.api import Detector
from uncnn.plugins.cards import TEMPLATES, Card, Input, Licence, Source, read_card, write_card
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace
from uncnn.plugins.onnx_recogniser import OnnxRecogniser

TRAINING_DATA = (
    "5,768 aligned faces of 3,983 people of LFW, of whom none is in its benchmark folders here; no identity labels"
)


def ship_student(student: Student, network: nn.Module, destination: Path) -> Path:
    """Write a trained student as `<destination>/<name>` and return that folder; it has no thresholds yet.

    Raises:
        BuildError: the export differs from the network. OSError: `destination` cannot be written.
    """
    return build(onnx_of(network, SIDE, SIDE), card_of(student), destination, network=network)


def calibrate_student(folder: Path, photos: Sequence[Path], detector: Detector) -> Card:
    """Write the thresholds and the accuracy of a shipped student on folders of `photos` to its card; return that.

    Raises:
        FacesError: the photos will not do. CalibrationError: the student tells nobody apart.
    """
    faces = read_faces(photos, detector, name="LFW")
    card = apply(read_card(folder), calibrate_faces(faces, OnnxRecogniser.load(folder, ["CPUExecutionProvider"])))
    write_card(card, folder)
    return card


def ship_detector(network: MobileNetRetinaFace, destination: Path) -> Path:
    """Write the detector's weights, float16, into `destination` and return the file."""
    destination.mkdir(parents=True, exist_ok=True)
    halved = {
        name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()
    }
    file = destination / OWN_DETECTOR
    save_file({name: value.contiguous() for name, value in halved.items()}, file, {"made_by": "uncnn.exporters.train"})
    return file


def card_of(student: Student) -> Card:
    """Return what is known of a student before it is built and calibrated."""
    return Card(
        name=student.name,
        family=student.family,
        role="surrogate",
        input=Input(height=SIDE, width=SIDE, order="RGB", mean=(MEAN,) * 3, std=(STD,) * 3),
        template=TEMPLATES["arcface-112"],
        embedding=student.embedding,
        metric="cosine",
        thresholds={},
        calibrated_on="not calibrated",
        source=Source(repository="uncnn", file="exporters/train"),
        sha256="0" * 64,
        training_data=TRAINING_DATA,
        distilled_from=student.teacher,
        licence=Licence(name=f"MIT; its teacher is under {student.teachers_licence}", use="permissive"),
        reference="exporters/train/README.md",
    )
