"""MXNet's two files: equal to the reference, in the one form, and no file does harm."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from aligned import aligned_faces, assert_plain, cosines, embeddings, normalised, torch_embeddings

from uncnn.exporters.convert.build import build
from uncnn.exporters.convert.formats import FormatError, convert
from uncnn.exporters.convert.formats.mxnet import normalisation
from uncnn.plugins.recognisers.cards import check_model, read_card

NAMES = {"mobilefacenet-y1": 128, "mobileface-v2": 256}


def files_of(shared_models: Path, name: str) -> list[Path]:
    return [shared_models / "upstream" / f"{name}{end}" for end in ("-0000.params", "-symbol.json")]


@cache
def converted(shared_models: Path, name: str) -> onnx.ModelProto:
    return convert("mxnet", files_of(shared_models, name))


@pytest.mark.parametrize("name", NAMES)
def test_the_model_equals_the_reference_on_real_faces(
    shared_models: Path, faces_144: Callable[[int], np.ndarray], name: str
) -> None:
    """Fed as the reference's card says: what the graph does to grey levels is that, and is left out."""
    reference = shared_models / "reference" / name
    card = read_card(reference)
    pictures = normalised(aligned_faces(faces_144, card, 10), card)
    ours = embeddings(converted(shared_models, name), pictures)
    assert cosines(ours, embeddings(reference / "model.onnx", pictures)).min() >= 0.9999
    mean, std = normalisation(files_of(shared_models, name))
    assert (card.input.mean, card.input.std) == ((mean,) * 3, (std,) * 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_is_in_the_one_form(shared_models: Path, name: str) -> None:
    assert_plain(converted(shared_models, name), 112, NAMES[name])
    again = convert("mxnet", files_of(shared_models, name)[::-1])
    assert again.SerializeToString() == converted(shared_models, name).SerializeToString()
    operations = {node.op_type for node in again.graph.node}
    assert not operations & {"BatchNormalization", "Sub"}, "normalisations are folded, grey levels are the card's"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_built_and_can_be_attacked(
    shared_models: Path, faces_144: Callable[[int], np.ndarray], tmp_path: Path, name: str
) -> None:
    """`build` holds parity to 1e-4 and the gradient to finite differences, and tries the batch."""
    card = read_card(shared_models / "reference" / name)
    folder = build(converted(shared_models, name), card, tmp_path, faces=aligned_faces(faces_144, card, 8))
    written = read_card(folder)
    check_model(folder, written)
    assert written.parity is not None
    assert written.parity <= 1e-4
    pictures = normalised(aligned_faces(faces_144, card, 5), card)
    alone = np.concatenate([embeddings(folder / "model.onnx", picture[None]) for picture in pictures])
    np.testing.assert_allclose(embeddings(folder / "model.onnx", pictures), alone, rtol=0, atol=1e-4)


class Written:
    """A small network in MXNet's files, and the same in numpy."""

    def __init__(self, folder: Path) -> None:
        self.nodes: list[dict[str, Any]] = [{"op": "null", "name": "data", "inputs": []}]
        self.arrays: dict[str, np.ndarray] = {}
        self.folder = folder
        self.random = np.random.default_rng(0)

    def add(self, operator: str, *inputs: int | np.ndarray, key: str = "attrs", **attributes: Any) -> int:
        numbers = []
        for value in inputs:
            if isinstance(value, np.ndarray):
                self.arrays[f"weight{len(self.nodes)}"] = value
                self.nodes.append({"op": "null", "name": f"weight{len(self.nodes)}", "inputs": []})
                value = len(self.nodes) - 1  # noqa: PLW2901
            numbers.append([value, 0, 0])
        texts = {name: str(value) for name, value in attributes.items()}
        name = f"node{len(self.nodes)}"
        self.nodes.append({"op": operator, "name": name, key: texts, "inputs": numbers})
        return len(self.nodes) - 1

    def files(self, version: int = 2, kind: int = 0) -> list[Path]:
        symbol, params = self.folder / "x-symbol.json", self.folder / "x.params"
        symbol.write_text(json.dumps({"nodes": self.nodes, "heads": [[len(self.nodes) - 1, 0, 0]]}))
        numbers = {0: "<f4", 1: "<f8", 2: "<f2"}[kind]
        content = struct.pack("<QQQ", 0x112, 0, len(self.arrays))
        for array in self.arrays.values():
            rank = array.ndim
            if version == 0:
                content += struct.pack(f"<I{rank}I", rank, *array.shape)
            else:
                content += struct.pack("<I", 0xF993FAC8 + version - 1) + (struct.pack("<i", 0) if version > 1 else b"")
                content += struct.pack(f"<I{rank}q", rank, *array.shape)
            content += struct.pack("<iii", 1, 0, kind) + array.astype(numbers).tobytes()
        content += struct.pack("<Q", len(self.arrays))
        for name in self.arrays:
            content += struct.pack("<Q", len(name) + 4) + b"arg:" + name.encode()
        params.write_bytes(content)
        return [symbol, params]

    def ending(self, source: int, channels: int) -> list[Path]:
        """Return the files with a global average and a matrix to 4 numbers at the end."""
        pooled = self.add("Pooling", source, pool_type="avg", kernel="(1, 1)", global_pool=True)
        matrix = self.random.normal(size=(4, channels))
        self.add("FullyConnected", pooled, matrix, num_hidden=4, no_bias=True)
        self.matrix = matrix
        return self.files()


PICTURES = np.random.default_rng(1).normal(size=(2, 3, 112, 112)).astype(np.float32)

SLOPES = np.array([0.1, 0.2, 0.3])[:, None, None]
OPERATIONS: list[tuple[str, tuple[Any, ...], dict[str, Any], Callable[[np.ndarray], np.ndarray]]] = [
    ("LeakyReLU", (), {}, lambda x: np.where(x > 0, x, 0.25 * x)),
    ("LeakyReLU", (), {"act_type": "leaky", "slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    ("LeakyReLU", (), {"act_type": "elu", "slope": 1.0}, lambda x: np.where(x > 0, x, np.expm1(x))),
    ("LeakyReLU", (SLOPES.ravel(),), {"act_type": "prelu"}, lambda x: np.where(x > 0, x, SLOPES * x)),
    ("LeakyReLU", (np.array([0.5]),), {"act_type": "prelu"}, lambda x: np.where(x > 0, x, 0.5 * x)),
    ("Activation", (), {"act_type": "relu"}, lambda x: np.maximum(x, 0)),
    ("Activation", (), {"act_type": "sigmoid"}, lambda x: 1 / (1 + np.exp(-x))),
    ("Activation", (), {"act_type": "tanh"}, np.tanh),
    ("Activation", (), {"act_type": "softrelu"}, lambda x: np.log1p(np.exp(x))),
    ("relu", (), {}, lambda x: np.maximum(x, 0)),
    ("clip", (), {"a_min": -0.5, "a_max": 0.25}, lambda x: np.clip(x, -0.5, 0.25)),
    ("_maximum_scalar", (), {"scalar": 0.1}, lambda x: np.maximum(x, 0.1)),
    ("_minimum_scalar", (), {"scalar": 0.1}, lambda x: np.minimum(x, 0.1)),
    ("elemwise_add", ("same",), {}, lambda x: x + x),
    ("broadcast_mul", ("same",), {}, lambda x: x * x),
    ("_minus", ("data",), {}, lambda x: x - PICTURES),
    ("Dropout", (), {"p": 0.5}, lambda x: x),
    ("L2Normalization", (), {"mode": "channel"}, lambda x: x / np.sqrt((x**2).sum(1, keepdims=True) + 1e-10)),
    ("L2Normalization", (), {}, lambda x: x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True) + 1e-10)),
    (
        "BatchNorm",
        (np.array([9.0, 9, 9]), np.array([0.1, 0.2, 0.3]), np.array([0.5, 0, -0.5]), np.array([1.0, 4, 9])),
        {},  # gamma is fixed and eps is 1e-3 unless they are named
        lambda x: (
            (x - np.array([0.5, 0, -0.5])[:, None, None]) / np.sqrt(np.array([1, 4, 9])[:, None, None] + 1e-3)
            + np.array([0.1, 0.2, 0.3])[:, None, None]
        ),
    ),
    (
        "Pooling",
        (),
        {"pool_type": "max", "kernel": "(2, 2)", "stride": "(2, 2)"},
        lambda x: x.reshape(2, 3, 56, 2, 56, 2).max((3, 5)),
    ),
    ("Pooling", (), {"global_pool": True, "kernel": "(7, 7)"}, lambda x: x.max((2, 3), keepdims=True)),
]


@pytest.mark.parametrize(("operator", "inputs", "attributes", "meaning"), OPERATIONS)
def test_an_operator_is_what_mxnet_says_it_is(
    tmp_path: Path, operator: str, inputs: tuple[Any, ...], attributes: dict[str, Any], meaning: Callable
) -> None:
    written = Written(tmp_path)
    first = written.add("_mul_scalar", written.add("Dropout", 0), scalar=2.0)  # not grey levels: they are not first
    given = [{"same": first, "data": 0}.get(value, value) if isinstance(value, str) else value for value in inputs]
    files = written.ending(written.add(operator, first, *given, **attributes), 3)
    expected = meaning(2.0 * PICTURES.astype(np.float64)).mean((2, 3)) @ written.matrix.T
    model = convert("mxnet", files)
    np.testing.assert_allclose(embeddings(model, PICTURES), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(torch_embeddings(model, tmp_path, PICTURES), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("key", ["attrs", "attr", "param"])
@pytest.mark.parametrize(("version", "kind"), [(0, 0), (1, 0), (2, 0), (3, 0), (2, 1), (2, 2)])
def test_every_age_of_the_files_is_read(tmp_path: Path, key: str, version: int, kind: int) -> None:
    written = Written(tmp_path)
    filters, bias = written.random.normal(size=(4, 3, 1, 1)), written.random.normal(size=4)
    convolved = written.add("Convolution", 0, filters, bias, key=key, kernel="(1, 1)", num_filter=4)
    written.ending(convolved, 4)
    found = embeddings(convert("mxnet", written.files(version, kind)), PICTURES)
    means = PICTURES.mean((2, 3))
    expected = (means @ filters[:, :, 0, 0].T + bias) @ written.matrix.T
    np.testing.assert_allclose(found, expected, rtol=2e-2 if kind == 2 else 1e-4, atol=1e-2 if kind == 2 else 1e-5)


def test_grey_levels_are_left_out_and_told(tmp_path: Path) -> None:
    written = Written(tmp_path)
    centred = written.add("_minus_scalar", 0, scalar=100)
    files = written.ending(written.add("_div_scalar", centred, scalar=50.0), 3)
    assert normalisation(files) == (100, 50)
    found = embeddings(convert("mxnet", files), PICTURES)
    np.testing.assert_allclose(found, PICTURES.mean((2, 3)) @ written.matrix.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "attributes", "complaint"),
    [
        ("SoftmaxOutput", {}, r"its SoftmaxOutput 'node\d+' is not among Activation, BatchNorm"),
        ("Activation", {"act_type": "swish"}, "is of the kind 'swish', which is not known"),
        ("Pooling", {"kernel": "__import__('os').abort()"}, "has the kernel .*, which is no value"),
        ("Pooling", {"kernel": "(3, 3, 3)"}, "which is no pair"),
        ("clip", {"a_min": "None", "a_max": "1"}, "has the a_min None, which is no number"),
        ("_div_scalar", {"scalar": 0}, "divides by zero"),
        ("BatchNorm", {}, "has no weights of 1 dimensions as input 1"),
        ("Convolution", {}, "has no weights of 4 dimensions as input 1"),
        ("elemwise_add", {}, "takes what no node before it gives"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, operator: str, attributes: Any, complaint: str) -> None:
    written = Written(tmp_path)
    files = written.ending(written.add(operator, written.add("relu", 0), **attributes), 3)
    with pytest.raises(FormatError, match=complaint) as raised:
        convert("mxnet", files)
    assert str(raised.value).startswith(f"{files[0]}: ")
    assert "download both files again" in str(raised.value)


def damages(content: bytes) -> list[bytes]:
    return [b"", content[:10], content[:1000], content[: len(content) // 2], content[:-1], content + b"?", b"<html>"]


@pytest.mark.parametrize("damage", range(7))
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_file_is_refused(shared_models: Path, tmp_path: Path, which: int, damage: int) -> None:
    files = files_of(shared_models, "mobilefacenet-y1")
    spoilt = tmp_path / files[which].name
    spoilt.write_bytes(damages(files[which].read_bytes())[damage])
    files[which] = spoilt
    with pytest.raises(FormatError, match=re.escape(f"{spoilt}: ")) as raised:
        convert("mxnet", files)
    assert "download both files again" in str(raised.value)


def test_a_garbled_byte_never_gives_another_error(shared_models: Path, tmp_path: Path) -> None:
    """Bytes of both files, changed at random: refused, or a changed number that only the hash can tell."""
    files, choice, refused = files_of(shared_models, "mobileface-v2"), random.Random(0), 0
    contents = [file.read_bytes() for file in files]
    for trial in range(60):
        which = trial % 2
        content = bytearray(contents[which])
        offset = choice.randrange(200) if which == 0 else choice.randrange(len(content))
        content[offset] ^= choice.randrange(1, 256)
        path = tmp_path / files[which].name
        path.write_bytes(content)
        given = [path, files[1]] if which == 0 else [files[0], path]
        try:
            convert("mxnet", given)
        except FormatError:
            refused += 1
    assert refused > 10


def test_lies_about_sizes_are_found_at_once(tmp_path: Path) -> None:
    written = Written(tmp_path)
    symbol, params = written.ending(written.add("relu", 0), 3)
    content = params.read_bytes()
    for count in (2**31, 2**62):
        params.write_bytes(content[:16] + struct.pack("<Q", count) + content[24:])
        with pytest.raises(FormatError, match="byte"):
            convert("mxnet", [symbol, params])
    params.write_bytes(content[:36] + struct.pack("<qq", 2**40, 2**40) + content[52:])
    with pytest.raises(FormatError, match=r"ends after \d+ bytes of \d{20}"):
        convert("mxnet", [symbol, params])


def test_both_files_are_asked_for(shared_models: Path, tmp_path: Path) -> None:
    files = files_of(shared_models, "mobileface-v2")
    with pytest.raises(FormatError, match=r"an MXNet model is a .params and its -symbol.json, and .* were given"):
        convert("mxnet", files[:1])
    with pytest.raises(FormatError, match=r"none\.params: cannot be read \(No such file or directory\)"):
        convert("mxnet", [tmp_path / "none.params", files[1]])
    with pytest.raises(FormatError, match="has no weights of 4 dimensions"):
        convert("mxnet", [files_of(shared_models, "mobilefacenet-y1")[0], files[1]])
