"""What the benchmarks share: where the real recognisers and photos are, and how a run of attacks begins."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from uncnn.daemon.files.folders import data_dir
from uncnn.exporters.registry.store import EMBEDDED, detector_onnx
from uncnn.plugins.detectors.retinaface import RetinaFace, load_onnx
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser

SHARED = Path(__file__).resolve().parents[2] / "shared"
REFERENCE = SHARED / "models" / "reference"
WEIGHTS = Path(os.environ.get("UNCNN_MODELS", REFERENCE)) / "retinaface-mobilenet0.25.pth"
JUDGES = ("dlib-resnet", "openvino-0095")  # never attacked
CPU = ["CPUExecutionProvider"]
THREADS = 2  # of the detector


def options_of(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser of what most benchmarks take: where the photos are, and whether it only shows that it runs."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--smoke", action="store_true")
    return parser


def is_missing(*needed: Path) -> bool:
    """Return whether something that is needed is not there, and say so."""
    missing = next((path for path in needed if not path.exists()), None)
    if missing is not None:
        print(f"nothing measured: {missing} is missing")
    return missing is not None


def set_torch_up() -> None:
    """Let torch work as it does in the worker."""
    torch.set_num_threads(1)  # the surrogates share the cores among them, one a thread
    torch.set_flush_denormal(True)


def save_whole(state: object, file: Path) -> None:
    """Write what a training that is stopped goes on with, whole or not at all; its folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)


def detector(weights: Path = WEIGHTS) -> RetinaFace:
    """Return the published RetinaFace, or that of other weights, in ONNX Runtime; exported once."""
    return load_onnx(detector_onnx(weights, data_dir()), CPU, THREADS)


def surrogates(folder: Path = EMBEDDED) -> list[Recogniser]:
    """Return the recognisers of a folder that are attacked: what comes with uncnn, or all but the judges."""
    cards = sorted(folder.glob("*/card.yaml"))
    return [load_recogniser(card.parent) for card in cards if card.parent.name not in JUDGES]


def judges() -> list[OnnxRecogniser]:
    """Return those that judge, in ONNX Runtime."""
    return [OnnxRecogniser.load(REFERENCE / name, CPU) for name in JUDGES]


def few(people: Path, folder: Path) -> Path:
    """Return a folder with links to three photos of each of 20 people."""
    for person in sorted(people.iterdir())[:20]:
        (folder / person.name).mkdir(parents=True)
        for photo in sorted(person.iterdir())[:3]:
            (folder / person.name / photo.name).symlink_to(photo)
    return folder
