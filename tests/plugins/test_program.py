"""torch.export's archives are read without running them: a plain network comes out, and of anything else nothing."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from uncnn.plugins.recognisers.program import ProgramError, load_program

MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


class Various(nn.Module):
    """Several kinds of arguments and outputs: sizes, lists, text, parts, buffers and constants."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 6)
        self.register_buffer("scale", torch.rand(8, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        features = functional.gelu(self.norm(self.conv(pictures)) * self.scale, approximate="tanh")
        first, second = features.chunk(2, dim=1)
        joined = torch.cat([first, second * torch.tensor(2.0)], 1)
        joined = functional.interpolate(joined, size=(9, 9), mode="bilinear")
        tokens = joined.reshape(pictures.shape[0] * 9, 9, 8).view(pictures.shape[0], -1, 8)
        tokens = tokens + torch.arange(tokens.shape[1], dtype=torch.float32, device=pictures.device)[:, None] / 100
        attention = torch.einsum("nic,njc->nij", tokens, tokens).softmax(-1)
        embeddings: Tensor = self.fc((attention @ tokens).mean(1))
        return embeddings


def saved(network: nn.Module, path: Path) -> Path:
    example = (torch.zeros(2, 3, 32, 32),)
    program = torch.export.export(network.eval(), example, dynamic_shapes=({0: torch.export.Dim("N")},))
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return Various().eval()


@pytest.fixture(scope="module")
def archive(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(network, tmp_path_factory.mktemp("programs") / "model.pt2")


def test_the_network_is_the_one_that_was_saved(network: nn.Module, archive: Path) -> None:
    read = load_program(archive)
    for count in (1, 5):
        pictures = torch.randn(count, 3, 32, 32, requires_grad=True)
        expected = network(pictures)
        torch.testing.assert_close(read(pictures), expected, rtol=0, atol=0)
        ours, theirs = (torch.autograd.grad(each.sum(), pictures)[0] for each in (read(pictures), expected))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)
    assert not any(weight.requires_grad for weight in read.parameters())


def test_it_can_move_to_another_device(archive: Path) -> None:
    """What the network makes of its own accord (an `arange` here) is made where its pictures are."""
    assert load_program(archive).to("meta")(torch.zeros(2, 3, 32, 32, device="meta")).device.type == "meta"


def rewritten(archive: Path, path: Path, change: Callable[[dict[str, Any]], Any], compress: int = 0) -> Path:
    """Write `archive` to `path` with its parts, bytes or what JSON holds, changed."""
    with zipfile.ZipFile(archive) as source:
        parts: dict[str, Any] = {name.partition("/")[2]: source.read(name) for name in source.namelist()}
    parts |= {name: json.loads(content) for name, content in parts.items() if name.endswith(".json")}
    change(parts)
    with zipfile.ZipFile(path, "w", compress) as target:
        for name, content in parts.items():
            target.writestr(f"model/{name}", content if isinstance(content, bytes) else json.dumps(content))
    return path


def entries(parts: dict[str, Any]) -> Any:
    return parts[WEIGHTS]["config"]


def nodes(parts: dict[str, Any]) -> Any:
    return parts[MODEL]["graph_module"]["graph"]["nodes"]


def node(target: str, **inputs: Any) -> dict[str, Any]:
    arguments = [{"name": name, "arg": value, "kind": 1} for name, value in inputs.items()]
    return {"target": target, "inputs": arguments, "outputs": [{"as_tensor": {"name": "trap"}}], "metadata": {}}


def test_a_rewritten_archive_is_still_read(archive: Path, tmp_path: Path) -> None:
    path = rewritten(archive, tmp_path / "same.pt2", lambda parts: None)
    pictures = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(load_program(path)(pictures), load_program(archive)(pictures), rtol=0, atol=0)


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def pickled(parts: dict[str, Any], sprung: Path) -> None:
    entry = next(iter(entries(parts).values()))
    content = io.BytesIO()
    torch.save(Trap(sprung), content)
    entry["use_pickle"] = True
    parts[f"data/weights/{entry['path_name']}"] = content.getvalue()


def constant_object(parts: dict[str, Any], sprung: Path) -> None:
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False, "tensor_meta": None}
    parts["data/constants/model_constants_config.json"]["config"]["trap"] = entry
    parts["data/constants/opaque_obj_0"] = pickle.dumps(Trap(sprung))


def sample_inputs(parts: dict[str, Any], sprung: Path) -> None:
    parts["data/sample_inputs/model.pt"] = pickle.dumps(Trap(sprung))


def guards(parts: dict[str, Any], sprung: Path) -> None:
    parts[MODEL]["guards_code"] = [f"open({str(sprung)!r}, 'w')"]


def symbolic(parts: dict[str, Any], sprung: Path) -> None:
    text = f"open({str(sprung)!r}, 'w')"
    for value in parts[MODEL]["graph_module"]["graph"]["sym_int_values"].values():
        value["as_expr"] = {"expr_str": text, "hint": None}


@pytest.mark.parametrize("set_trap", [pickled, constant_object, sample_inputs, guards, symbolic])
def test_nothing_in_an_archive_is_run(archive: Path, tmp_path: Path, set_trap: Callable) -> None:
    sprung = tmp_path / "sprung"
    path = rewritten(archive, tmp_path / "trap.pt2", lambda parts: set_trap(parts, sprung))
    if set_trap in {pickled, constant_object}:
        with pytest.raises(ProgramError, match=r"trap\.pt2: .* is pickled, and nothing is ever unpickled; install"):
            load_program(path)
    else:  # what is never looked at
        load_program(path)(torch.zeros(2, 3, 32, 32))
    assert not sprung.exists()


@pytest.mark.parametrize(
    "bad",
    [
        node("torch.os.system", command={"as_string": "true"}),
        node("torch.hub.load", repo={"as_string": "a/b"}),
        node("torch.ops.aten._foo.default"),
        node("torch.ops.aten.nothing.default"),
        node("torch.ops.aten.relu.__class__"),
        node("torch.ops.prims.device_put.default"),
        node("torch.ops.higher_order.cond"),
        node("_operator.attrgetter", name={"as_string": "a"}),
        node("math.exp", x={"as_float": 1.0}),
        node("open", file={"as_string": "a"}),
        node("torch.ops.aten.from_file.default", filename={"as_string": "/etc/passwd"}, size={"as_int": 9}),
        node("torch.ops.aten.relu.default", self={"as_graph": {"name": "g"}}),
    ],
)
def test_another_operation_is_refused(archive: Path, tmp_path: Path, bad: dict[str, Any]) -> None:
    path = rewritten(archive, tmp_path / "bad.pt2", lambda parts: nodes(parts).append(bad))
    with pytest.raises(ProgramError, match=r"bad\.pt2: its (operation|argument) .* plain"):
        load_program(path)


def lie(parts: dict[str, Any]) -> None:
    meta = next(iter(entries(parts).values()))["tensor_meta"]
    meta["sizes"] = [{"as_int": 2**40}]
    meta["strides"] = [{"as_int": 0}]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lie, r"claims 1099511627776 numbers and has \d+"),
        (lambda parts: nodes(parts).pop(2), "no program that can be attacked"),
        (lambda parts: parts.pop(MODEL), "no program that can be attacked"),
        (lambda parts: parts.pop(WEIGHTS), "no program that can be attacked"),
        (lambda parts: parts.update({MODEL: [1, 2]}), "no program that can be attacked"),
        (lambda parts: entries(parts).clear(), "no program that can be attacked"),
        (
            lambda parts: next(iter(entries(parts).values())).update(path_name="../../../etc/passwd"),
            "is pickled, and nothing is ever unpickled",
        ),
    ],
)
def test_a_changed_archive_is_refused(archive: Path, tmp_path: Path, change: Callable, complaint: str) -> None:
    path = rewritten(archive, tmp_path / "bad.pt2", change)
    with pytest.raises(ProgramError, match=complaint) as raised:
        load_program(path)(torch.zeros(2, 3, 32, 32))
    assert str(raised.value).startswith(f"{path}: ")


def test_what_grows_is_refused(archive: Path, tmp_path: Path) -> None:
    path = rewritten(archive, tmp_path / "small.pt2", lambda parts: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(ProgramError, match="it is compressed, and torch stores"):
        load_program(path)


@pytest.mark.parametrize("spoil", [lambda c: b"", lambda c: c[:500], lambda c: c[:-50], lambda c: b"<html>", bytes])
def test_a_damaged_archive_is_refused(archive: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "spoilt.pt2"
    path.write_bytes(spoil(archive.read_bytes()) if spoil is not bytes else bytes(1000))
    with pytest.raises(
        ProgramError, match=r"spoilt\.pt2: no program that can be attacked .*install the recogniser again"
    ):
        load_program(path)
    with pytest.raises(ProgramError, match="no program"):
        load_program(tmp_path / "none.pt2")
