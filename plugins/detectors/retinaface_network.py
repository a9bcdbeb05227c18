"""RetinaFace's network in torch, from published weights, and its export to ONNX.

Two bodies: MobileNet-0.25 (weights of biubug6/Pytorch_Retinaface) and ResNet-50 (weights of ternaus/retinaface, the
package retinaface-pytorch). The weights' names say which one they are.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import onnx
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.export import Dim

from uncnn.plugins.detectors.retinaface import RetinaFace
from uncnn.plugins.detectors.retinaface_boxes import Floats, Outputs
from uncnn.plugins.detectors.retinaface_forward import METADATA, OUTPUTS, DetectorError, InputFormat, read_detector
from uncnn.plugins.detectors.retinaface_layers import Context, FeaturePyramid, MobileNetBody, heads, resnet_body
from uncnn.plugins.detectors.retinaface_views import MULTIPLE
from uncnn.plugins.recognisers.checkpoints import CheckpointError, load_checkpoint

REMEDY = "download the published weights again"
DAMAGED = (SafetensorError, pickle.UnpicklingError, BadZipFile, RuntimeError, EOFError, OSError, ValueError, KeyError)
Body = Literal["mobilenet0.25", "resnet50"]
MARKS: dict[Body, str] = {"mobilenet0.25": "body.stage1.0.0.weight", "resnet50": "body.layer1.0.conv1.weight"}
INPUT_FORMATS: dict[Body, InputFormat] = {
    "mobilenet0.25": InputFormat(mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0), order="BGR"),
    "resnet50": InputFormat(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), order="RGB"),
}


class RetinaFaceNetwork(nn.Module):
    """RetinaFace on any body; attributes are named as the published weights name them."""

    def __init__(self, body: nn.Module, channels: tuple[int, int, int], width: int) -> None:
        """`channels` are those of the body's three levels, `width` those of all that is behind it."""
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramid(channels, width)
        self.ssh1, self.ssh2, self.ssh3 = Context(width), Context(width), Context(width)
        self.BboxHead, self.ClassHead, self.LandmarkHead = heads(width, 4), heads(width, 2), heads(width, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes (N, A, 4), class logits (N, A, 2) and landmarks (N, A, 10) of (N, 3, H, W) images."""
        return self.heads(self.features(images))

    def features(self, images: Tensor) -> list[Tensor]:
        """Return what the heads read, (N, C, H / stride, W / stride) at strides 8, 16 and 32."""
        levels = self.fpn(self.body(images))
        return [context(level) for context, level in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]

    def heads(self, levels: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, class logits and landmarks of all anchors, as `forward` does."""
        boxes, logits, landmarks = (
            torch.cat([head(level) for head, level in zip(heads, levels, strict=True)], dim=1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return boxes, logits, landmarks


class MobileNetRetinaFace(RetinaFaceNetwork):
    """RetinaFace on MobileNet-0.25."""

    body: MobileNetBody

    def __init__(self) -> None:
        super().__init__(MobileNetBody(), (64, 128, 256), 64)


class ResNetRetinaFace(RetinaFaceNetwork):
    """RetinaFace on ResNet-50."""

    def __init__(self) -> None:
        super().__init__(resnet_body(), (512, 1024, 2048), 256)


@dataclass(frozen=True, slots=True)
class TorchForward:
    """RetinaFace's network in torch."""

    network: nn.Module
    input_format: InputFormat
    device: torch.device

    def __call__(self, images: Floats) -> Outputs:
        """Return the network's outputs for (N, 3, H, W) prepared images."""
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self.device, memory_format=torch.channels_last)
            boxes, logits, landmarks = self.network(batch)
        return boxes.cpu().numpy(), logits.cpu().numpy(), landmarks.cpu().numpy()


def load_torch(weights: Path, device: str = "cpu", sha256: str | None = None) -> RetinaFace:
    """Return the detector of a published weights file, in torch; `sha256` is what the file must hash to.

    Raises:
        DetectorError: the file is missing, damaged, or not RetinaFace's.
    """
    network, input_format = load_network(weights, sha256)
    target = torch.device(device)
    network.to(target).to(memory_format=torch.channels_last)  # half the time of planes, for so few channels
    return RetinaFace(TorchForward(network, input_format, target))


def export_onnx(weights: Path, onnx_path: Path) -> None:
    """Write the network of a published weights file as ONNX, for batches and images of any size; atomically.

    Raises:
        DetectorError: `weights` is missing, damaged, or not RetinaFace's.
    """
    network, input_format = load_network(weights)
    axes = {0: Dim("images"), 2: MULTIPLE * Dim("rows"), 3: MULTIPLE * Dim("columns")}
    program = torch.onnx.export(
        network,
        (torch.zeros(2, 3, 2 * MULTIPLE, 3 * MULTIPLE),),
        input_names=["images"],
        output_names=list(OUTPUTS),
        dynamic_shapes=(axes,),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise DetectorError(f"torch gave no ONNX program for {weights}: try another version of torch")
    model = program.model_proto
    _forget_where_it_was_made(model)
    model.metadata_props.add(key=METADATA, value=input_format.to_metadata())
    temporary = onnx_path.with_name(f".{onnx_path.name}.{os.getpid()}.tmp")
    try:
        onnx.save_model(model, temporary)
        temporary.replace(onnx_path)
    finally:
        temporary.unlink(missing_ok=True)


def _forget_where_it_was_made(model: onnx.ModelProto) -> None:
    """Remove what torch notes beside the graph: the lines of code, with their folders, that each node came from."""
    del model.metadata_props[:], model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
        part.doc_string = ""
    for tensor in model.graph.initializer:
        tensor.ClearField("metadata_props")
        tensor.doc_string = ""


def load_network(weights: Path, sha256: str | None = None) -> tuple[nn.Module, InputFormat]:
    """Return the network of a published weights file, ready to run, and the form of its input.

    It is made from the very bytes whose `sha256` was checked.

    Raises:
        DetectorError: the file is missing, damaged, another than the one of this hash, or not RetinaFace's.
    """
    state = _read(weights, sha256)
    body = next((body for body, mark in MARKS.items() if mark in state), None)
    if body is None:
        raise DetectorError(f"{weights} holds no RetinaFace with a MobileNet-0.25 or ResNet-50 body: {REMEDY}")
    network = MobileNetRetinaFace() if body == "mobilenet0.25" else resnet50()
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise DetectorError(f"{weights} does not fit RetinaFace with a body of {body}: {REMEDY}") from error
    return network.eval().requires_grad_(False), INPUT_FORMATS[body]


def resnet50() -> nn.Module:
    """Return the network as retinaface-pytorch builds it where that is installed, else the same one as it is here.

    The package brings albumentations, OpenCV, pandas, scikit-learn and streamlit along, of which none is needed for it.
    """
    try:
        from retinaface.network import RetinaFace as Published
    except ImportError:
        return ResNetRetinaFace()
    levels = {"layer2": 1, "layer3": 2, "layer4": 3}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torchvision")  # the package says `pretrained`, a deprecated name
        network = Published("Resnet50", pretrained=False, in_channels=256, return_layers=levels, out_channels=256)
    assert isinstance(network, nn.Module)
    return network


def _read(weights: Path, sha256: str | None) -> dict[str, Tensor]:
    """Return a state dict in float32, never unpickling code; names lose the prefix that DataParallel gives them."""
    if not weights.is_file():
        raise DetectorError(f"RetinaFace's weights {weights} are missing: {REMEDY}")
    content = read_detector(weights, sha256)
    try:
        if weights.suffix == ".safetensors":
            return {name: value.float() for name, value in load(content).items()}
        state = load_checkpoint(content)
    except CheckpointError as error:
        raise DetectorError(f"RetinaFace's weights {weights}: {error}: {REMEDY}") from error
    except DAMAGED as error:
        # torch's own message advises to let the file run code, so it is not shown
        raise DetectorError(f"RetinaFace's weights {weights} are damaged, or more than tensors: {REMEDY}") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DetectorError(f"{weights} holds no table of tensors: {REMEDY}")
    return {str(name).removeprefix("module."): value for name, value in state.items()}
