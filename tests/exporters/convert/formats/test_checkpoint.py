"""torch checkpoints as published: equal to the reference, in the one form, and no file does harm."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from aligned import aligned_faces, cosines, embeddings, normalised

from uncnn.exporters.convert.build import build
from uncnn.exporters.convert.formats import FormatError, convert, torch_network
from uncnn.plugins.recognisers.cards import check_model, read_card
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

FILES = {
    "mobilefacenet-foamliu": "mobilefacenet-foamliu.pt",
    "mobilefacenet-casia": "mobilefacenet-casia.ckpt",
    "edgeface-xxs": "edgeface-xxs-q.pt",
}


@cache
def converted(file: Path) -> onnx.ModelProto:
    return convert("checkpoint", [file])


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_checkpoint_equals_the_reference_on_real_faces(
    shared_models: Path, faces_144: Callable[[int], np.ndarray], name: str
) -> None:
    reference = shared_models / "reference" / name
    card = read_card(reference)
    pictures = normalised(aligned_faces(faces_144, card, 10), card)
    ours = embeddings(converted(shared_models / "upstream" / FILES[name]), pictures)
    assert cosines(ours, embeddings(reference / "model.onnx", pictures)).min() >= 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_graph_is_in_the_one_form(shared_models: Path, name: str) -> None:
    model, card = converted(shared_models / "upstream" / FILES[name]), read_card(shared_models / "reference" / name)
    onnx.checker.check_model(model, full_check=True)
    (entry,), (end,) = model.graph.input, model.graph.output
    sides = [[side.dim_param or side.dim_value for side in v.type.tensor_type.shape.dim] for v in (entry, end)]
    assert (entry.name, end.name) == ("input", "embedding")
    assert sides == [["N", 3, card.input.height, card.input.width], ["N", card.embedding]]
    assert {constant.data_type for constant in model.graph.initializer} <= {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }
    assert b"site-packages" not in model.SerializeToString(), "the paths of a machine"


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_batch_changes_nothing(shared_models: Path, faces_144: Callable[[int], np.ndarray], name: str) -> None:
    card = read_card(shared_models / "reference" / name)
    pictures = normalised(aligned_faces(faces_144, card, 5), card)
    model = converted(shared_models / "upstream" / FILES[name])
    together = embeddings(model, pictures)
    alone = np.concatenate([embeddings(model, picture[None]) for picture in pictures])
    assert together.shape == (5, card.embedding)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name == "mobilefacenet-casia" else name for name in FILES]
)
def test_it_is_built_and_can_be_attacked(
    shared_models: Path, faces_144: Callable[[int], np.ndarray], tmp_path: Path, name: str
) -> None:
    """`build` holds parity to 1e-4, with the author's network as well, and the gradient to finite differences."""
    card, file = read_card(shared_models / "reference" / name), shared_models / "upstream" / FILES[name]
    faces = aligned_faces(faces_144, card, 8)
    network = torch_network("checkpoint", [file])
    folder = build(converted(file), card, tmp_path, faces=faces, network=network)
    written = read_card(folder)
    check_model(folder, written)
    assert written.parity is not None
    assert written.parity <= 1e-4
    crops = torch.from_numpy(faces).permute(0, 3, 1, 2).float()
    outputs = load_recogniser(folder).outputs(crops).numpy()
    assert cosines(outputs, embeddings(folder / "model.onnx", normalised(faces, card))).min() > 0.99999


def test_two_low_rank_layers_are_one(shared_models: Path, tmp_path: Path) -> None:
    """EdgeFace's larger variants have them; a product is as good as what it was made of."""
    file = shared_models / "upstream" / FILES["edgeface-xxs"]
    network = torch_network("checkpoint", [file])
    state = dict(network.state_dict())
    left, right = torch.linalg.qr(state["model.head.fc.weight"])  # (512, 168), (168, 168)
    del state["model.head.fc.weight"]
    state |= {"model.head.fc.linear1.weight": right, "model.head.fc.linear2.weight": left}
    state["model.head.fc.linear2.bias"] = state.pop("model.head.fc.bias")
    torch.save(state, tmp_path / "low.pt")
    pictures = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    again = torch_network("checkpoint", [tmp_path / "low.pt"])
    torch.testing.assert_close(again(pictures), network(pictures), rtol=0, atol=1e-5)


class Trap:
    """Makes a file where it is unpickled carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_nothing_in_a_file_is_run(tmp_path: Path, protocol: str) -> None:
    path, sprung = tmp_path / "trap.pt", tmp_path / "sprung"
    if protocol == "torch":
        torch.save({"state_dict": Trap(sprung)}, path)
    else:
        path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(FormatError, match=r"trap\.pt: no checkpoint that can be read without running what is in it"):
        convert("checkpoint", [path])
    assert not sprung.exists()
    torch.load(path, weights_only=False) if protocol == "torch" else pickle.loads(path.read_bytes())
    assert sprung.exists(), "the trap was none"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:1000],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-100],
        lambda content: b"<html>not found</html>",
        lambda content: bytes(len(content)),
    ],
)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused(shared_models: Path, tmp_path: Path, name: str, spoil: Callable) -> None:
    path = tmp_path / FILES[name]
    path.write_bytes(spoil((shared_models / "upstream" / FILES[name]).read_bytes()))
    with pytest.raises(FormatError, match=re.escape(path.name)) as raised:
        convert("checkpoint", [path])
    assert "download it again" in str(raised.value)


def spoilt(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path, Path], Path]:
    """Return what writes the casia checkpoint with its state changed."""

    def write(upstream: Path, folder: Path) -> Path:
        state = torch.load(upstream / FILES["mobilefacenet-casia"], map_location="cpu", weights_only=True)[
            "net_state_dict"
        ]
        state = change(state) or state
        torch.save(state, folder / "changed.pt")
        return folder / "changed.pt"

    return write


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (
            spoilt(lambda state: {key: state[key] for key in state if key != "conv2.bn.bias"}),
            "does not fit mobilefacenet .*conv2.bn.bias",
        ),
        (spoilt(lambda state: state.update({"more": torch.zeros(3)})), "does not fit mobilefacenet .*more"),
        (spoilt(lambda state: state.update({"conv2.bn.bias": torch.zeros(3)})), "does not fit .*size mismatch"),
        (
            spoilt(lambda state: state.update({"conv2.bn.bias": torch.full((512,), float("nan"))})),
            "conv2.bn.bias holds NaN",
        ),
        (spoilt(lambda state: {"a.b": torch.zeros(2)}), r"its keys \(a.b, ...\) are of no network that is known here"),
        (spoilt(lambda state: {"a": 1}), r"its keys \(no tensors, ...\)"),
        (spoilt(lambda state: [1, 2]), r"its keys \(no tensors, ...\)"),
        (
            spoilt(lambda state: state.update({"linear7.conv.weight": torch.zeros(1).expand(10**9, 1, 7, 6)})),
            "claims 4200[0-9]* numbers in",
        ),
    ],
)
def test_another_state_is_refused(shared_models: Path, tmp_path: Path, write: Callable, complaint: str) -> None:
    path = write(shared_models / "upstream", tmp_path)
    with pytest.raises(FormatError, match=complaint) as raised:
        torch_network("checkpoint", [path])
    assert str(raised.value).startswith(f"{path}: ")


def test_architectures_are_named_where_they_are_asked_for(shared_models: Path, tmp_path: Path) -> None:
    file = shared_models / "upstream" / FILES["mobilefacenet-casia"]
    with pytest.raises(FormatError, match="architecture 'resnet' is unknown: use one of mobilefacenet-relu6, mobile"):
        convert("checkpoint", [file], "resnet")
    with pytest.raises(FormatError, match=r"are not of edgeface; name its architecture, one of .*inception-resnet-v1"):
        convert("checkpoint", [file], "edgeface")
    assert torch_network("checkpoint", [file], "mobilefacenet") is not None


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.pt: cannot be read \(No such file or directory\); check the path"):
        convert("checkpoint", [tmp_path / "none.pt"])
    with pytest.raises(FormatError, match="a checkpoint is one file, and 2 were given"):
        convert("checkpoint", [tmp_path / "a.pt", tmp_path / "b.pt"])
    with pytest.raises(FormatError, match="format 'caffe' is unknown: use one of checkpoint, mxnet"):
        convert("caffe", [tmp_path])  # type: ignore[arg-type]
