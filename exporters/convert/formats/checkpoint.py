"""torch checkpoints: the network that the keys belong to, filled and exported.

Read are `.pt`, `.pth`, `.ckpt` (by ``torch.load(weights_only=True)``, which runs nothing that is in the file) and
`.safetensors`. Which network it is, its depth and its widths are told by the keys and shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from onnx import ModelProto
from torch import Tensor, nn

from uncnn.exporters.convert.formats import FormatError, only_file
from uncnn.exporters.convert.formats.checkpoint_layouts import LAYOUTS, LayoutError
from uncnn.exporters.convert.formats.torch_export import onnx_of
from uncnn.plugins.extras import MissingPackage
from uncnn.plugins.recognisers.checkpoints import LARGEST_CHECKPOINT, load_checkpoint
from uncnn.plugins.recognisers.reading import read_file

State: TypeAlias = dict[str, Tensor]

ARCHITECTURES = tuple(LAYOUTS)
"""The names that `architecture` takes."""

LARGEST_PRODUCT = 2**24  # numbers: two thin matrices can make an endless one

PACKED = "._packed_params._packed_params"  # torch's quantised linear layer: the pair of its weight and bias
"""How torch ends the key of a quantised linear layer's weight and bias."""


def convert(files: Sequence[Path], architecture: str | None = None) -> ModelProto:
    """Return the checkpoint's network as ONNX, (N, 3, H, W) float32 -> (N, D) float32.

    Raises:
        FormatError: it is no checkpoint, is damaged or hostile, or is of a network that is not known.
    """
    network = torch_network(files, architecture)
    return onnx_of(network, [torch.zeros(2, 3, int(network.height), int(network.width))])  # type: ignore[arg-type]


def torch_network(files: Sequence[Path], architecture: str | None = None) -> nn.Module:
    """Return the checkpoint's network, frozen, float32; its `height` and `width` are those of its input.

    Raises:
        FormatError: as `convert`.
    """
    path = only_file(files, "a checkpoint")
    if architecture is not None and architecture not in LAYOUTS:
        raise FormatError(f"architecture {architecture!r} is unknown: use one of {', '.join(ARCHITECTURES)}")
    states = list(_states(_load(path)))
    _check_size(path, states)
    name, state = _recognised(path, [_plain(state) for state in states], architecture)
    _check_values(path, state)
    try:
        with torch.device("meta"):  # shapes alone: the values are the checkpoint's
            network = LAYOUTS[name].build(state)
        network.load_state_dict(state, assign=True)
    except LayoutError as error:
        raise FormatError(f"{path}: {error}") from error
    except MissingPackage:
        raise
    except Exception as error:  # a key is missing, or a shape is another than the network's
        complaint = " ".join(str(error).split())[:300]
        raise FormatError(
            f"{path}: does not fit {name} ({complaint}); name another architecture of "
            f"{', '.join(ARCHITECTURES)}, or download it again"
        ) from error
    return network.eval().requires_grad_(False)


def _load(path: Path) -> object:
    """Return what is in the file: nothing of it is run."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return load_checkpoint(read_file(path, LARGEST_CHECKPOINT))
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except Exception as error:  # torch, its unpickler, zipfile and safetensors raise whatever their parts raise
        complaint = " ".join(str(error).split())[:200]
        raise FormatError(
            f"{path}: no checkpoint that can be read without running what is in it "
            f"({type(error).__name__}: {complaint}); download it again, or save its state_dict alone"
        ) from error


def _states(content: object, depth: int = 2) -> Iterator[Mapping[str, Any]]:
    """Yield each dictionary of tensors in `content`: checkpoints keep theirs under one of many names."""
    if not isinstance(content, Mapping):
        return
    if any(isinstance(value, Tensor) for value in content.values()):
        yield content
    if depth:
        for value in content.values():
            yield from _states(value, depth - 1)


def _plain(state: Mapping[str, Any]) -> State:
    """Return `state` as float32: quantised linear layers are unpacked, and two low-rank ones in a row multiplied."""
    plain: State = {}
    for key, value in state.items():
        if not isinstance(key, str):
            continue
        if key.endswith(PACKED) and isinstance(value, tuple) and len(value) == 2:
            for name, part in zip(("weight", "bias"), value, strict=True):
                if isinstance(part, Tensor):
                    plain[f"{key.removesuffix(PACKED)}.{name}"] = _float(part)
        elif isinstance(value, Tensor) and f"{key.rpartition('.')[0]}{PACKED}" not in state:
            plain[key] = _float(value)
    for layer in [key.removesuffix(".linear1.weight") for key in plain if key.endswith(".linear1.weight")]:
        _multiply(plain, layer)
    return plain


def _multiply(plain: State, layer: str) -> None:
    """Make one linear layer of two low-rank ones (EdgeFace's LoRaLin), where they are that."""
    first, second = f"{layer}.linear1.weight", f"{layer}.linear2.weight"
    shapes = [*plain[first].shape, *plain.get(second, torch.empty(0)).shape]
    if len(shapes) == 4 and shapes[0] == shapes[3] and shapes[1] * shapes[2] <= LARGEST_PRODUCT:
        plain[f"{layer}.weight"] = plain.pop(second) @ plain.pop(first)
        if f"{layer}.linear2.bias" in plain:
            plain[f"{layer}.bias"] = plain.pop(f"{layer}.linear2.bias")


def _float(value: Tensor) -> Tensor:
    value = value.dequantize() if value.is_quantized else value
    return value.float() if value.is_floating_point() else value


def _recognised(path: Path, states: Sequence[State], architecture: str | None) -> tuple[str, State]:
    """Return the architecture and its part of the first state that has it, without what stands before its keys."""
    for state in states:
        for name in [architecture] if architecture else LAYOUTS:
            layout = LAYOUTS[name]
            starts = [key.removesuffix(layout.marks[0]) for key in state if key.endswith(layout.marks[0])]
            for start in sorted(starts, key=len):
                if (not start or start.endswith(".")) and all(start + mark in state for mark in layout.marks):
                    part = {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
                    return name, {key: part[key] for key in part if not key.startswith(layout.ignored)}
    found = ", ".join(list(states[0])[:3]) if states else "no tensors"
    wanted = f"not of {architecture}" if architecture else "of no network that is known here"
    raise FormatError(
        f"{path}: its keys ({found}, ...) are {wanted}; name its architecture, one of {', '.join(ARCHITECTURES)}, "
        f"or export it to ONNX where it was made"
    )


def _check_size(path: Path, states: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a file that claims more numbers than it has bytes: a view can repeat one without end."""
    size = path.stat().st_size
    for state in states:
        packed = (part for value in state.values() for part in (value if isinstance(value, tuple) else (value,)))
        claimed = sum(part.numel() for part in packed if isinstance(part, Tensor))
        if claimed > 2 * size:
            raise FormatError(f"{path}: claims {claimed} numbers in {size} bytes; download it again")


def _check_values(path: Path, state: State) -> None:
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise FormatError(f"{path}: {key} holds NaN or infinity; download it again")
