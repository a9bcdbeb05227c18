"""RetinaFace: finds the faces of a photo of any size, in torch or in ONNX Runtime; torch is imported where it is used.

Deng, Guo, Ververas, Kotsia, Zafeiriou, "RetinaFace: Single-shot Multi-level Face Localisation in the Wild", CVPR 2020;
how it looks at a photo: `plugins/detectors/retinaface.py`.
"""

from __future__ import annotations

from uncnn.plugins.api import DetectorSource
from uncnn.plugins.detectors import retinaface
from uncnn.plugins.detectors.retinaface import RetinaFace
from uncnn.plugins.recognisers.sessions import providers_for


def load(source: DetectorSource) -> RetinaFace:
    """Return RetinaFace in torch on a GPU, where it may; else in ONNX Runtime: two thirds of torch's time on a CPU.

    Raises:
        DetectorError: its file is missing, damaged, or another than the one of its hash.
    """
    if source.torch and source.device != "cpu":
        from uncnn.plugins.detectors.retinaface_network import load_torch

        weights, sha256 = source.files["retinaface.torch"]
        return load_torch(weights, source.device, sha256)
    onnx, sha256 = source.files["retinaface.onnx"]
    return retinaface.load_onnx(onnx, providers_for(source.device), sha256=sha256)
