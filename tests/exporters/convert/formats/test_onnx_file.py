"""Any ONNX recogniser: brought into the one form without a change of its embeddings, or refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from aligned import aligned_faces, assert_plain, cosines, embeddings, normalised
from onnx import ModelProto, TensorProto, helper, numpy_helper

from uncnn.exporters.convert.build import build
from uncnn.exporters.convert.formats import FormatError, convert
from uncnn.exporters.convert.formats.onnx_file import OnnxDescription, describe
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import read_card

NAME = "esp-mfn"
PICTURES = np.random.default_rng(0).normal(size=(4, 3, 112, 112)).astype(np.float32)


@pytest.fixture(scope="module")
def original() -> ModelProto:
    return onnx.load(EMBEDDED / NAME / "model.onnx")


def changed(original: ModelProto, change: Callable[[ModelProto], Any]) -> ModelProto:
    model = ModelProto()
    model.CopyFrom(original)
    change(model)
    return model


def saved(model: ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "some.onnx")
    return folder / "some.onnx"


def sides_of(value: onnx.ValueInfoProto) -> Any:
    return value.type.tensor_type.shape.dim


def fixed_batch(model: ModelProto, batch: int = 1) -> None:
    """As many exports have it: a fixed batch, written into the shape of a reshaping too."""
    for value in (model.graph.input[0], model.graph.output[0]):
        sides_of(value)[0].ClearField("dim_param")
        sides_of(value)[0].dim_value = batch
    (flat,) = [node for node in model.graph.node if node.op_type == "Flatten"]
    model.graph.initializer.append(numpy_helper.from_array(np.array([batch, 512]), "flat"))
    flat.op_type = "Reshape"
    del flat.attribute[:]
    flat.input.append("flat")
    del model.graph.value_info[:]


def last_channels(model: ModelProto) -> None:
    """As TensorFlow has it."""
    name = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["first" if each == name else each for each in node.input]
    model.graph.node.insert(0, helper.make_node("Transpose", [name], ["first"], perm=[0, 3, 1, 2]))
    sides = sides_of(model.graph.input[0])
    for side, value in zip(list(sides)[1:], (112, 112, 3), strict=True):
        side.dim_value = value
    del model.graph.value_info[:]


def halved(model: ModelProto) -> None:
    """As float16, its ends too."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float16)))
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    del model.graph.value_info[:]


def normalising(model: ModelProto) -> None:
    """As OpenCV's SFace: grey levels in, and BGR turned to RGB."""
    name = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["normal" if each == name else each for each in node.input]
    for key, value in (("mean", 127.5), ("scale", 0.0078125)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), key))
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "swap"))
    model.graph.node.insert(0, helper.make_node("Gather", [name, "swap"], ["swapped"], axis=1))
    model.graph.node.insert(1, helper.make_node("Sub", ["swapped", "mean"], ["centred"]))
    model.graph.node.insert(2, helper.make_node("Mul", ["centred", "scale"], ["normal"]))


def with_norm(model: ModelProto) -> None:
    """As AdaFace's exports: the embedding's length is another output."""
    name = model.graph.output[0].name
    model.graph.node.append(helper.make_node("ReduceL2", [name], ["norm"], axes=[1]))
    model.graph.output.append(helper.make_tensor_value_info("norm", TensorProto.FLOAT, ["n", 1]))


def with_sides(model: ModelProto) -> None:
    """An embedding (N, D, 1, 1)."""
    name = model.graph.output[0].name
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "sides"))
    model.graph.node.append(helper.make_node("Unsqueeze", [name, "sides"], ["long"]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("long", TensorProto.FLOAT, ["n", 512, 1, 1]))


def confusing_names(model: ModelProto) -> None:
    """The ends' names on other values, and weights among the inputs, as old exports have them."""
    names = {model.graph.node[0].output[0]: "embedding", model.graph.node[1].output[0]: "input"}
    names |= {model.graph.input[0].name: "picture", model.graph.output[0].name: "result"}
    for node in model.graph.node:
        node.input[:] = [names.get(each, each) for each in node.input]
        node.output[:] = [names.get(each, each) for each in node.output]
    model.graph.input[0].name, model.graph.output[0].name = "picture", "result"
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    del model.graph.value_info[:]


PLAIN = {"height": 112, "width": 112, "layout": "NCHW", "embedding": 512, "normalises_inside": False, "dynamic": True}
FORMS: list[tuple[Callable[[ModelProto], Any], dict[str, Any]]] = [
    (lambda model: None, {}),
    (fixed_batch, {"dynamic": False}),
    (lambda model: fixed_batch(model, 4), {"dynamic": False}),
    (last_channels, {"layout": "NHWC"}),
    (with_norm, {}),
    (with_sides, {}),
    (confusing_names, {}),
]


@pytest.mark.parametrize(("change", "told"), FORMS)
def test_another_form_gives_the_same_embeddings(
    original: ModelProto, tmp_path: Path, change: Callable[[ModelProto], Any], told: dict[str, Any]
) -> None:
    path = saved(changed(original, change), tmp_path)
    model = convert("onnx", [path])
    assert_plain(model, 112, 512)
    expected = embeddings(original, PICTURES)
    np.testing.assert_allclose(embeddings(model, PICTURES), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(embeddings(model, PICTURES[:1]), expected[:1], rtol=0, atol=1e-5)
    assert describe(path) == OnnxDescription(**(PLAIN | told))


def test_half_precision_becomes_single(original: ModelProto, tmp_path: Path) -> None:
    path = saved(changed(original, halved), tmp_path)
    model = convert("onnx", [path])
    assert_plain(model, 112, 512)
    assert cosines(embeddings(model, PICTURES), embeddings(original, PICTURES)).min() > 0.999
    assert describe(path) == OnnxDescription(**PLAIN)


def test_what_the_graph_does_to_grey_levels_is_kept_and_told(original: ModelProto, tmp_path: Path) -> None:
    path = saved(changed(original, normalising), tmp_path)
    grey = PICTURES * 50 + 127.5
    swapped = (grey[:, ::-1] - 127.5) / 128
    found = embeddings(convert("onnx", [path]), grey)
    np.testing.assert_allclose(found, embeddings(original, swapped), rtol=0, atol=1e-4)
    told = {"normalises_inside": True, "mean": 127.5, "std": 128.0, "swaps_channels": True}
    assert describe(path) == OnnxDescription(**(PLAIN | told))


def test_a_picture_of_any_size_is_asked_about(original: ModelProto, tmp_path: Path) -> None:
    def free(model: ModelProto) -> None:
        for number, name in ((2, "rows"), (3, "columns")):
            sides_of(model.graph.input[0])[number].dim_param = name

    path = saved(changed(original, free), tmp_path)
    with pytest.raises(FormatError, match="takes pictures of any size; name height and width as architecture, such as"):
        convert("onnx", [path])
    assert_plain(convert("onnx", [path], "112x112"), 112, 512)
    assert describe(path, "112x112") == OnnxDescription(**PLAIN)
    with pytest.raises(FormatError, match="architecture 'large' of an ONNX file is its height and width"):
        convert("onnx", [path], "large")
    with pytest.raises(FormatError, match="does not run with a batch of any size"):
        convert("onnx", [path], "96x96")
    with pytest.raises(FormatError, match="takes pictures of 112x112, not of 96x96"):
        convert("onnx", [saved(original, tmp_path)], "96x96")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilefacenet-sirius", "mobilefacenet-casia-tf2", "openvino-0095"])
def test_real_files_of_others_are_built(
    recogniser_folder: Callable[[str], Path], faces_144: Callable[[int], np.ndarray], tmp_path: Path, name: str
) -> None:
    """What has no other file here: made elsewhere from TensorFlow, with the length of the embedding left open."""
    reference = recogniser_folder(name)
    card = read_card(reference)
    faces = aligned_faces(faces_144, card, 8)
    model = convert("onnx", [reference / "model.onnx"])
    folder = build(model, card, tmp_path, faces=faces)
    built = read_card(folder)
    assert built.parity is not None
    assert built.parity <= 1e-4
    pictures = normalised(faces, card)
    ours, theirs = embeddings(folder / "model.onnx", pictures), embeddings(reference / "model.onnx", pictures)
    assert cosines(ours, theirs).min() >= 0.9999
    assert describe(reference / "model.onnx").normalises_inside == (name == "openvino-0095")


@pytest.mark.slow
def test_a_newer_opset_is_taken_by_torch(tmp_path: Path) -> None:
    """torch's own export in opset 20, where Gelu is one operation and a reduction's axes an input."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 4),
        torch.nn.GELU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 64),
    ).eval()
    program = torch.onnx.export(
        network, (torch.zeros(1, 3, 112, 112),), input_names=["x"], dynamo=True, opset_version=20, verbose=False
    )
    assert "Gelu" in {node.op_type for node in program.model_proto.graph.node}
    model = convert("onnx", [saved(program.model_proto, tmp_path)])
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    from uncnn.plugins.recognisers.graph import load_graph

    found = load_graph(path)(torch.from_numpy(PICTURES)).numpy()
    np.testing.assert_allclose(found, embeddings(model, PICTURES), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found, network(torch.from_numpy(PICTURES)).detach().numpy(), rtol=0, atol=1e-5)


def small(inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], kind: int = TensorProto.FLOAT) -> ModelProto:
    """Return a graph that passes its first input on."""
    first = next(iter(inputs))
    nodes = [helper.make_node("Identity", [first], [name]) for name in outputs]
    ends = [
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in values.items()]
        for values in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "small", *ends)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def quantised(model: ModelProto) -> None:
    model.graph.node[0].op_type = "QLinearConv"


def strange(model: ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def outside(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (quantised, r"is quantised \(QLinearConv\), so it has no true gradient; take its float32 file"),
        (strange, r"has operations that a recogniser cannot have here \(com.microsoft.Conv\)"),
        (outside, "keeps its weights in other files; save it as one file"),
        (lambda model: model.graph.node.pop(3) and None, "contradicts the ONNX standard"),
    ],
)
def test_a_graph_that_cannot_be_attacked_is_refused(
    original: ModelProto, tmp_path: Path, change: Callable, complaint: str
) -> None:
    path = tmp_path / "some.onnx"
    path.write_bytes(changed(original, change).SerializeToString())
    with pytest.raises(FormatError, match=complaint) as raised:
        convert("onnx", [path])
    assert str(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (small({"a": ["n", 3, 9, 9], "b": [1]}, {"c": ["n", 64]}), r"has 2 inputs \(a, b\), and a recogniser has one"),
        (small({"a": ["n", 64]}, {"c": ["n", 64]}), r"its input a is \[None, 64\], and a picture is \(N, 3, H, W\)"),
        (small({"a": ["n", 1, 64, 64]}, {"c": ["n", 64]}), r"its input a is \[None, 1, 64, 64\], and a picture is"),
        (
            small({"a": [1, 3, 64, 64]}, {"c": [1, 64]}, TensorProto.UINT8),
            "its input a is UINT8, and a picture is FLOAT",
        ),
        (
            small({"a": ["n", 3, 9000, 9000]}, {"c": ["n", 64]}),
            "takes pictures of 9000x9000, and a recogniser 16 to 1024",
        ),
        (small({"a": ["n", 3, 64, 64]}, {"c": ["n", 2]}), r"of its outputs \(c \[None, 2\]\) 0 can be an embedding"),
        (
            small({"a": ["n", 3, 64, 64]}, {"c": ["n", 64], "d": ["n", 512]}),
            r"of its outputs \(c \[None, 64\], d \[None, 512\]\) 2 can be an embedding",
        ),
    ],
)
def test_what_is_no_recogniser_is_refused(tmp_path: Path, model: ModelProto, complaint: str) -> None:
    path = tmp_path / "some.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FormatError, match=complaint) as raised:
        convert("onnx", [path])
    assert str(raised.value).startswith(f"{path}: ")


def test_a_batch_that_cannot_be_freed_is_refused(tmp_path: Path) -> None:
    """A picture's numbers mixed across the batch: the embedding of a face would depend on its neighbours."""
    nodes = [
        helper.make_node("Reshape", ["a", "shape"], ["b"]),
        helper.make_node("ReduceMean", ["b"], ["c"], axes=[1], keepdims=0),
        helper.make_node("Reshape", ["c", "end"], ["d"]),
    ]
    shapes = {"shape": [3, 64 * 64], "end": [1, 3]}
    constants = [numpy_helper.from_array(np.array(value), name) for name, value in shapes.items()]
    ends = {"a": [1, 3, 64, 64], "d": [1, 64]}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends.items()]
    graph = helper.make_graph(nodes, "mixed", values[:1], values[1:], constants)
    path = tmp_path / "mixed.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    with pytest.raises(FormatError, match=r"mixed\.onnx: .*batch"):
        convert("onnx", [path])


@pytest.mark.parametrize("spoil", [lambda c: b"", lambda c: c[:1000], lambda c: c[:-9], lambda c: b"<html>" * 99])
def test_a_damaged_file_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "spoilt.onnx"
    path.write_bytes(spoil((EMBEDDED / NAME / "model.onnx").read_bytes()))
    with pytest.raises(FormatError, match=re.escape(f"{path}: ")):
        convert("onnx", [path])


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.onnx: cannot be read \(No such file or directory\); check the path"):
        describe(tmp_path / "none.onnx")
