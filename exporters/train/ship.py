"""What a recipe writes: a student as ONNX with its card, the detector as half-precision weights."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from uncnn.exporters.build import build
from uncnn.exporters.formats.torch_export import onnx_of
from uncnn.exporters.train.lessons import TEACHERS
from uncnn.exporters.train.networks import EMBEDDING, SIDE, Student
from uncnn.exporters.train.students import MEAN, STD
from uncnn.plugins.cards import Card, Input, Licence, Source
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace

DETECTOR_FILE = "retinaface-mobilenet0.25-uncnn.safetensors"
TRAINING_DATA = (
    "5,768 aligned faces of 4,000 people of LFW, of whom none is in its benchmark folders here; no identity labels"
)


def ship_student(student: Student, network: nn.Module, destination: Path) -> Path:
    """Write a trained student as `<destination>/<name>` and return that folder; it has no thresholds yet.

    Raises:
        BuildError: the export differs from the network. OSError: `destination` cannot be written.
    """
    return build(onnx_of(network, SIDE, SIDE), card_of(student), destination, network=network)


def ship_detector(network: MobileNetRetinaFace, destination: Path) -> Path:
    """Write the detector's weights, float16, into `destination` and return the file."""
    destination.mkdir(parents=True, exist_ok=True)
    halved = {
        name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()
    }
    file = destination / DETECTOR_FILE
    save_file({name: value.contiguous() for name, value in halved.items()}, file, {"made_by": "uncnn.exporters.train"})
    return file


def card_of(student: Student) -> Card:
    """Return what is known of a student before it is built and calibrated."""
    return Card(
        name=student.name,
        family=student.family,
        role="surrogate",
        input=Input(height=SIDE, width=SIDE, order="RGB", mean=(MEAN,) * 3, std=(STD,) * 3),
        template=student.template,
        embedding=EMBEDDING,
        metric="cosine",
        thresholds={},
        calibrated_on="not calibrated",
        source=Source(repository="uncnn", file="exporters/train"),
        sha256="0" * 64,
        training_data=f"{TRAINING_DATA}; distilled from {', '.join(TEACHERS)}",
        licence=Licence(name="MIT; distilled from networks under Apache-2.0 and MIT", use="permissive"),
        reference="exporters/train/README.md",
    )
