"""Architectures whose published weights are too large to be here: random weights under the published keys.

The keys and shapes below are written from the authors' code, not taken from the networks that they are loaded into.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from aligned import embeddings
from safetensors.torch import save_file
from torch import Tensor

from uncnn.exporters.convert.build import build
from uncnn.exporters.convert.formats import FormatError, convert, torch_network
from uncnn.exporters.convert.formats.checkpoint_layouts import LAYOUTS
from uncnn.plugins.recognisers.cards import TEMPLATES, Card, Input, Licence, read_card

Shapes = Iterator[tuple[str, tuple[int, ...]]]

SHALLOW = 10  # nobody publishes it: the same blocks in less time
DEPTHS = {SHALLOW: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
WIDTHS = (64, 128, 256, 512)


def norm(name: str, width: int, affine: bool = True) -> Shapes:
    for part in ("weight", "bias", "running_mean", "running_var")[0 if affine else 2 :]:
        yield f"{name}.{part}", (width,)
    yield f"{name}.num_batches_tracked", ()


def insightface(layers: int) -> Shapes:
    """Yield recognition/arcface_torch/backbones/iresnet.py."""
    yield "conv1.weight", (64, 3, 3, 3)
    yield from norm("bn1", 64)
    yield "prelu.weight", (64,)
    before = 64
    for stage, (count, width) in enumerate(zip(DEPTHS[layers], WIDTHS, strict=True), 1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            yield from norm(f"{name}.bn1", before)
            yield f"{name}.conv1.weight", (width, before, 3, 3)
            yield from norm(f"{name}.bn2", width)
            yield f"{name}.prelu.weight", (width,)
            yield f"{name}.conv2.weight", (width, width, 3, 3)
            yield from norm(f"{name}.bn3", width)
            if block == 0:
                yield f"{name}.downsample.0.weight", (width, before, 1, 1)
                yield from norm(f"{name}.downsample.1", width)
            before = width
    yield from norm("bn2", 512)
    yield from (("fc.weight", (512, 25088)), ("fc.bias", (512,)))
    yield from norm("features", 512)


def adaface(layers: int, excited: bool = False) -> Shapes:
    """Yield net.py of AdaFace, and CVLface's models/iresnet/model.py."""
    yield "input_layer.0.weight", (64, 3, 3, 3)
    yield from norm("input_layer.1", 64)
    yield "input_layer.2.weight", (64,)
    before, number = 64, 0
    for count, width in zip(DEPTHS[layers], WIDTHS, strict=True):
        for _ in range(count):
            name = f"body.{number}"
            if before != width:
                yield f"{name}.shortcut_layer.0.weight", (width, before, 1, 1)
                yield from norm(f"{name}.shortcut_layer.1", width)
            yield from norm(f"{name}.res_layer.0", before)
            yield f"{name}.res_layer.1.weight", (width, before, 3, 3)
            yield from norm(f"{name}.res_layer.2", width)
            yield f"{name}.res_layer.3.weight", (width,)
            yield f"{name}.res_layer.4.weight", (width, width, 3, 3)
            yield from norm(f"{name}.res_layer.5", width)
            if excited:
                yield f"{name}.res_layer.se_block.fc1.weight", (width // 16, width, 1, 1)
                yield f"{name}.res_layer.se_block.fc2.weight", (width, width // 16, 1, 1)
            before, number = width, number + 1
    yield from norm("output_layer.0", 512)
    yield from (("output_layer.3.weight", (512, 25088)), ("output_layer.3.bias", (512,)))
    yield from norm("output_layer.4", 512, affine=False)


def unit(name: str, before: int, width: int, rows: int = 1, columns: int = 1) -> Shapes:
    yield f"{name}.conv.weight", (width, before, rows, columns)
    yield from norm(f"{name}.bn", width)


def block(name: str, width: int, inner: int, sides: Sequence[Sequence[tuple[int, int]]]) -> Shapes:
    """Yield a residual block: the branches' convolutions by height and width, and the one that joins them."""
    for branch, kernels in enumerate(sides):
        before = width
        for step, (rows, columns) in enumerate(kernels):
            place = f"{name}.branch{branch}" if len(kernels) == 1 else f"{name}.branch{branch}.{step}"
            yield from unit(place, before, inner, rows, columns)
            before = inner
    yield f"{name}.conv2d.weight", (width, inner * len(sides), 1, 1)
    yield f"{name}.conv2d.bias", (width,)


def facenet() -> Shapes:
    """Yield models/inception_resnet_v1.py of facenet-pytorch, trained on VGGFace2."""
    stem = {"1a": (3, 32, 3), "2a": (32, 32, 3), "2b": (32, 64, 3), "3b": (64, 80, 1), "4a": (80, 192, 3)}
    for name, (before, width, side) in (stem | {"4b": (192, 256, 3)}).items():
        yield from unit(f"conv2d_{name}", before, width, side, side)
    for number in range(5):
        yield from block(f"repeat_1.{number}", 256, 32, ([(1, 1)], [(1, 1), (3, 3)], [(1, 1), (3, 3), (3, 3)]))
    yield from unit("mixed_6a.branch0", 256, 384, 3, 3)
    for step, (before, width, side) in enumerate(((256, 192, 1), (192, 192, 3), (192, 256, 3))):
        yield from unit(f"mixed_6a.branch1.{step}", before, width, side, side)
    for number in range(10):
        yield from block(f"repeat_2.{number}", 896, 128, ([(1, 1)], [(1, 1), (1, 7), (7, 1)]))
    for branch, steps in enumerate((((896, 256, 1), (256, 384, 3)), ((896, 256, 1), (256, 256, 3)))):
        for step, (before, width, side) in enumerate(steps):
            yield from unit(f"mixed_7a.branch{branch}.{step}", before, width, side, side)
    for step, (before, width, side) in enumerate(((896, 256, 1), (256, 256, 3), (256, 256, 3))):
        yield from unit(f"mixed_7a.branch2.{step}", before, width, side, side)
    for name in (*(f"repeat_3.{number}" for number in range(5)), "block8"):
        yield from block(name, 1792, 192, ([(1, 1)], [(1, 1), (1, 3), (3, 1)]))
    yield "last_linear.weight", (512, 1792)
    yield from norm("last_bn", 512)
    yield from (("logits.weight", (8631, 512)), ("logits.bias", (8631,)))


def vit(width: int, depth: int, patch: int, ratio: int, length: int = 512) -> Shapes:
    """Yield backbones/vit.py of insightface, which LVFace and CVLface share."""
    patches = (112 // patch) ** 2
    yield "mask_token", (1, 1, width)
    yield "pos_embed", (1, patches, width)
    yield from (("patch_embed.proj.weight", (width, 3, patch, patch)), ("patch_embed.proj.bias", (width,)))
    for number in range(depth):
        name = f"blocks.{number}"
        for part in ("norm1", "norm2"):
            yield from ((f"{name}.{part}.weight", (width,)), (f"{name}.{part}.bias", (width,)))
        yield f"{name}.attn.qkv.weight", (3 * width, width)
        yield from ((f"{name}.attn.proj.weight", (width, width)), (f"{name}.attn.proj.bias", (width,)))
        yield from ((f"{name}.mlp.fc1.weight", (ratio * width, width)), (f"{name}.mlp.fc1.bias", (ratio * width,)))
        yield from ((f"{name}.mlp.fc2.weight", (width, ratio * width)), (f"{name}.mlp.fc2.bias", (width,)))
    yield from (("norm.weight", (width,)), ("norm.bias", (width,)))
    yield "feature.0.weight", (width, width * patches)
    yield from norm("feature.1", width)
    yield "feature.2.weight", (length, width)
    yield from norm("feature.3", length)


def state_of(shapes: Shapes, prefix: str = "") -> dict[str, Tensor]:
    """Return random weights that neither vanish nor explode on their way through the network."""
    generator, state = torch.Generator().manual_seed(0), {}
    for name, shape in shapes:
        if name.endswith("num_batches_tracked"):
            value = torch.tensor(1)
        elif name.endswith("running_var"):
            value = torch.rand(shape, generator=generator) + 0.5
        elif len(shape) > 1:
            value = torch.randn(shape, generator=generator) * (2 / np.prod(shape[1:])) ** 0.5
        else:
            value = torch.randn(shape, generator=generator) * 0.1 + (0.8 if name.endswith("weight") else 0)
        state[prefix + name] = value
    return state


def card_of(name: str, side: int, length: int) -> Card:
    return Card(
        name=name,
        family="random",
        role="surrogate",
        input=Input(height=side, width=side, order="RGB", mean=(127.5,) * 3, std=(127.5,) * 3),
        template=[(x * side / 112, y * side / 112) for x, y in TEMPLATES["arcface-112"]],
        embedding=length,
        metric="cosine",
        thresholds={},
        calibrated_on="nothing: random weights",
        sha256="0" * 64,
        licence=Licence(name="none", use="permissive"),
    )


@pytest.mark.parametrize(
    ("shapes", "architecture"),
    [
        *[(insightface(layers), "iresnet") for layers in DEPTHS],
        *[(adaface(layers), "adaface") for layers in DEPTHS],
        *[(adaface(layers, excited=True), "adaface") for layers in (50, 100)],
        (vit(512, 12, 8, 5), "vit"),  # CVLface small
        (vit(512, 24, 8, 3), "vit"),  # CVLface base
        (vit(512, 24, 9, 4), "vit"),  # LVFace-B
        (vit(768, 24, 9, 4), "vit"),  # LVFace-L
        (facenet(), "inception-resnet-v1"),
    ],
)
def test_the_published_keys_and_shapes_are_those_of_the_network(shapes: Shapes, architecture: str) -> None:
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in shapes}
        layout = LAYOUTS[architecture]
        network = layout.build(state)
    state = {name: value for name, value in state.items() if not name.startswith(layout.ignored or ("none",))}
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in state.items()
    }


def heads_of(shapes: Shapes) -> int:
    with torch.device("meta"):
        network = LAYOUTS["vit"].build({name: torch.empty(shape) for name, shape in shapes})
    return int(network.blocks[0].attn.heads)


def test_heads_are_those_of_the_published_ones() -> None:
    assert heads_of(vit(512, 12, 8, 5)) == 8
    assert heads_of(vit(512, 24, 8, 3)) == 16
    assert heads_of(vit(512, 24, 9, 4)) == 8


def published(kind: str, folder: Path) -> Path:
    """Write random weights as their authors save theirs."""
    if kind == "iresnet":  # insightface's backbone.pth, float16
        path, state = folder / "backbone.pth", state_of(insightface(18))
        torch.save({key: value.half() if value.is_floating_point() else value for key, value in state.items()}, path)
    elif kind == "adaface":  # CVLface's model.safetensors
        path = folder / "model.safetensors"
        save_file(state_of(adaface(SHALLOW, excited=True), "model.net."), path)
    elif kind == "inception":  # facenet-pytorch's
        path = folder / "20180402-114759-vggface2.pt"
        torch.save(state_of(facenet()), path)
    else:  # a small transformer in LVFace's keys, from a training checkpoint
        path = folder / "small.pt"
        torch.save({"epoch": 3, "state_dict_backbone": state_of(vit(64, 2, 9, 4, 128), "module.")}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "architecture", "side", "length"),
    [
        ("iresnet", None, 112, 512),
        pytest.param("adaface", None, 112, 512, marks=pytest.mark.long),
        ("inception", None, 160, 512),
        ("vit", "vit-8-heads", 112, 128),
    ],
)
def test_random_weights_are_exported_and_proven(
    tmp_path: Path, kind: str, architecture: str | None, side: int, length: int
) -> None:
    path = published(kind, tmp_path)
    model = convert("checkpoint", [path], architecture)
    onnx.checker.check_model(model, full_check=True)
    network = torch_network("checkpoint", [path], architecture)
    folder = build(model, card_of(kind, side, length), tmp_path / "models", network=network)
    card = read_card(folder)
    assert card.parity is not None
    assert card.parity <= 1e-4
    pictures = torch.randn(5, 3, side, side, generator=torch.Generator().manual_seed(1)).numpy()
    together = embeddings(folder / "model.onnx", pictures)
    assert together.shape == (5, length)
    alone = np.concatenate([embeddings(folder / "model.onnx", picture[None]) for picture in pictures[:2]])
    np.testing.assert_allclose(alone, together[:2], rtol=0, atol=1e-4 * np.abs(together).max())


def test_a_transformer_whose_heads_are_not_known_is_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    torch.save(state_of(vit(64, 2, 9, 4, 128)), path)
    with pytest.raises(FormatError, match="how many heads it has is not known; name its architecture as vit-8-heads"):
        convert("checkpoint", [path])


def test_older_blocks_without_the_inner_normalisation(tmp_path: Path) -> None:
    """InsightFace_Pytorch's layout: what IR-SE-50 was first published in."""
    moved = {"3": "2", "4": "3", "5": "4", "se_block": "5"}
    state = {}
    for key, value in state_of(adaface(SHALLOW, excited=True)).items():
        start, middle, end = key.partition(".res_layer.")
        number, _, rest = end.partition(".")
        if middle and number == "2":
            continue
        state[f"{start}{middle}{moved.get(number, number)}.{rest}" if middle else key] = value
    torch.save(
        state | {"output_layer.4.weight": torch.ones(512), "output_layer.4.bias": torch.zeros(512)}, tmp_path / "x.pth"
    )
    network = torch_network("checkpoint", [tmp_path / "x.pth"])
    assert network(torch.zeros(1, 3, 112, 112)).shape == (1, 512)


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    content = path.read_bytes()
    for spoilt in (content[:-5], content[:20], b"", bytes(100), b"\xff" * 100):
        path.write_bytes(spoilt)
        with pytest.raises(FormatError, match=r"model\.safetensors: no checkpoint that can be read"):
            convert("checkpoint", [path])


def test_three_convolutions_a_block_are_refused(tmp_path: Path) -> None:
    state: Mapping[str, Tensor] = state_of(adaface(SHALLOW)) | {"body.0.res_layer.7.weight": torch.zeros(64, 64, 1, 1)}
    torch.save(state, tmp_path / "deep.ckpt")
    with pytest.raises(FormatError, match=r"its blocks have three convolutions \(152 layers and more\)"):
        convert("checkpoint", [tmp_path / "deep.ckpt"])
