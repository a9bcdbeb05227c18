"""What the recipe writes: the detector as half-precision weights."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace

DETECTOR_FILE = "retinaface-mobilenet0.25-uncnn.safetensors"


def ship_detector(network: MobileNetRetinaFace, destination: Path) -> Path:
    """Write the detector's weights, float16, into `destination` and return the file."""
    destination.mkdir(parents=True, exist_ok=True)
    halved = {
        name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()
    }
    file = destination / DETECTOR_FILE
    save_file({name: value.contiguous() for name, value in halved.items()}, file, {"made_by": "uncnn.exporters.train"})
    return file
