"""How the published checkpoints name their parts, and the networks that fit: see `exporters/convert/networks`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from uncnn.exporters.convert.networks.edgeface import VARIANTS, EdgeFace
from uncnn.exporters.convert.networks.inception_resnet import InceptionResnet
from uncnn.exporters.convert.networks.iresnet import AdaFaceNet, IResNet, Unit
from uncnn.exporters.convert.networks.mobilefacenet import MobileFaceNet, MobileFaceNetRelu6
from uncnn.exporters.convert.networks.vit import Shape, VisionTransformer

HEADS = {(8, 12): 8, (8, 24): 16, (9, 12): 8, (9, 24): 8, (9, 48): 8}
"""Heads by patch and depth, of CVLface (8) and insightface and LVFace (9): the keys do not tell."""


class LayoutError(Exception):
    """A checkpoint of a known layout in a shape that is not known: the message says what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A network by its keys: all `marks` are there, and what begins with `ignored` is not part of the embedding."""

    marks: tuple[str, ...]
    build: Callable[[Mapping[str, Tensor]], nn.Module]
    ignored: tuple[str, ...] = ()


def _edgeface(state: Mapping[str, Tensor]) -> nn.Module:
    channels = state["model.stem.0.weight"].shape[0]
    if channels not in VARIANTS:
        raise LayoutError(f"an EdgeFace of {channels} channels is none of timm's; export it to ONNX where it was made")
    return EdgeFace(channels, state["model.head.fc.weight"].shape[0])


def _iresnet(state: Mapping[str, Tensor]) -> nn.Module:
    counts = [_count(state, f"layer{stage}.") for stage in (1, 2, 3, 4)]
    return IResNet(counts, state["fc.weight"].shape[0])


def _adaface(state: Mapping[str, Tensor]) -> nn.Module:
    units, channels = [], 64
    for number in range(_count(state, "body.")):
        start = f"body.{number}.res_layer."
        if f"{start}7.weight" in state:
            raise LayoutError("its blocks have three convolutions (152 layers and more); export it to ONNX first")
        filters = state[f"{start}1.weight"].shape[0]
        normalised = f"{start}2.running_mean" in state
        excited = f"{start}se_block.fc1.weight" in state or f"{start}5.fc1.weight" in state
        stride = 2 if number == 0 or filters != channels else 1
        units.append(Unit(channels, filters, stride, normalised, excited))
        channels = filters
    return AdaFaceNet(units, state["output_layer.3.weight"].shape[0], "output_layer.4.weight" in state)


def _vit(heads: int | None = None) -> Callable[[Mapping[str, Tensor]], nn.Module]:
    def build(state: Mapping[str, Tensor]) -> nn.Module:
        width, _, patch, _ = state["patch_embed.proj.weight"].shape
        patches, depth = state["pos_embed"].shape[1], _count(state, "blocks.")
        known = heads or HEADS.get((patch, depth))
        if known is None or width % known:
            raise LayoutError(
                f"a ViT of {depth} blocks on patches of {patch} pixels, {width} wide: how many heads it has is not "
                "known; name its architecture as vit-8-heads or vit-16-heads"
            )
        side = 112 if (112 // patch) ** 2 == patches else math.isqrt(patches) * patch
        hidden, length = state["blocks.0.mlp.fc1.weight"].shape[0], state["feature.2.weight"].shape[0]
        biased = "blocks.0.attn.qkv.bias" in state
        return VisionTransformer(Shape(side, patch, width, hidden, depth, length, known, biased))

    return build


def _count(state: Mapping[str, Tensor], start: str) -> int:
    """Return how many numbers follow `start` in the keys: the modules of a sequence."""
    return len({key[len(start) :].partition(".")[0] for key in state if key.startswith(start)})


_VIT = ("patch_embed.proj.weight", "pos_embed", "blocks.0.attn.qkv.weight", "feature.0.weight", "feature.2.weight")

LAYOUTS: dict[str, Layout] = {
    "mobilefacenet-relu6": Layout(
        ("gdconv.depthwise.weight", "dw_conv.pointwise.weight"), lambda _: MobileFaceNetRelu6()
    ),
    "mobilefacenet": Layout(("dw_conv1.conv.weight", "linear7.conv.weight"), lambda _: MobileFaceNet()),
    "edgeface": Layout(("model.stem.0.weight", "model.stages.0.blocks.0.conv_dw.weight"), _edgeface),
    "iresnet": Layout(("layer1.0.bn1.weight", "layer4.0.conv1.weight", "fc.weight", "features.running_mean"), _iresnet),
    "adaface": Layout(("input_layer.0.weight", "body.0.res_layer.0.weight", "output_layer.3.weight"), _adaface),
    "inception-resnet-v1": Layout(
        ("conv2d_1a.conv.weight", "block8.conv2d.weight", "last_linear.weight"),
        lambda state: InceptionResnet(state["last_linear.weight"].shape[0]),
        ignored=("logits.",),
    ),
    "vit": Layout(_VIT, _vit(), ignored=("mask_token",)),
    "vit-8-heads": Layout(_VIT, _vit(8), ignored=("mask_token",)),
    "vit-16-heads": Layout(_VIT, _vit(16), ignored=("mask_token",)),
}
