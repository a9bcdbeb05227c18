"""ESP-DL's networks: equal to an independent conversion, differentiable, and no file does harm."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from aligned import (
    aligned_faces,
    assert_can_be_attacked,
    assert_plain,
    cosines,
    embeddings,
    normalised,
    torch_embeddings,
)
from espdl_writer import Constant, Operator, stored_filters, write
from onnx import ModelProto, numpy_helper
from torch.nn import functional

from uncnn.exporters.convert.build import build
from uncnn.exporters.convert.formats import FormatError, convert
from uncnn.plugins.recognisers.cards import Card, read_card


@pytest.fixture(scope="module")
def file(shared_models: Path) -> Path:
    return shared_models / "upstream" / "human_face_feat_mfn_s8_v1.espdl"


@pytest.fixture(scope="module")
def model(file: Path) -> ModelProto:
    return convert("espdl", [file])


@pytest.fixture(scope="module")
def card(recogniser_folder: Callable[[str], Path]) -> Card:
    return read_card(recogniser_folder("esp-mfn"))


@pytest.fixture(scope="module")
def faces(faces_144: Callable[[int], np.ndarray], card: Card) -> np.ndarray:
    return aligned_faces(faces_144, card, 10)


def test_the_graph_keeps_what_every_format_promises(model: ModelProto) -> None:
    assert_plain(model, side=112, length=512)


def test_equals_the_independent_conversion(
    model: ModelProto, shared_models: Path, card: Card, faces: np.ndarray
) -> None:
    pictures = normalised(faces, card)
    ours = embeddings(model, pictures)
    theirs = embeddings(shared_models / "reference" / "esp-mfn" / "model.onnx", pictures)
    assert len(ours) == 10
    assert cosines(ours, theirs).min() >= 0.9999
    assert cosines(ours[:-1], ours[1:]).max() < 0.9, "different faces, or nothing was compared"


def test_weights_are_whole_numbers_times_a_power_of_two(model: ModelProto) -> None:
    filters = [numpy_helper.to_array(constant) for constant in model.graph.initializer if len(constant.dims) == 4]
    assert len(filters) == 53
    for values in filters:
        scale = 2.0 ** np.ceil(np.log2(np.abs(values).max() / 128))
        assert np.array_equal(values / scale * 2**7, np.rint(values / scale * 2**7))


def test_the_batch_is_free(model: ModelProto, card: Card, faces: np.ndarray) -> None:
    pictures = normalised(faces, card)[:5]
    alone = np.concatenate([embeddings(model, picture[None]) for picture in pictures])
    np.testing.assert_allclose(embeddings(model, pictures), alone, rtol=0, atol=1e-4)


def test_it_can_be_built(model: ModelProto, card: Card, faces: np.ndarray, tmp_path: Path) -> None:
    assert_can_be_attacked(build(model, card, tmp_path, faces=faces), faces)


def test_the_older_header_is_read(file: Path, model: ModelProto, tmp_path: Path) -> None:
    older = tmp_path / "older.espdl"
    data = file.read_bytes()
    older.write_bytes(b"EDL1" + data[4:12] + data[16:])
    assert convert("espdl", [older]) == model


# Small networks: what esp-ppq writes for operators that the real file does not have.

SIDE = 8
NOISE = np.random.default_rng(0)
PICTURES = torch.from_numpy(NOISE.normal(size=(3, 3, SIDE, SIDE)).astype(np.float32))


def whole(*shape: int, kind: str = "int8") -> np.ndarray:
    return NOISE.integers(-100, 100, shape).astype(kind)


def filters(name: str, weight: np.ndarray, *exponents: int, grouped: bool = False) -> Constant:
    data, shape, layout = stored_filters(weight, 8 if weight.dtype == np.int16 else 16, grouped=grouped)
    return Constant(name, data, shape, exponents, layout)


def true(weight: np.ndarray, *exponents: int) -> torch.Tensor:
    scale = 2.0 ** np.array(exponents).reshape(-1, *[1] * (weight.ndim - 1))
    return torch.from_numpy((weight * scale).astype(np.float32))


def assert_equal(path: Path, expected: torch.Tensor) -> None:
    model = convert("espdl", [path])
    for found in (embeddings(model, PICTURES.numpy()), torch_embeddings(model, path.parent, PICTURES.numpy())):
        np.testing.assert_allclose(found, expected.flatten(1).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("number", [16, 32, 5, 21])
@pytest.mark.parametrize("kind", ["int8", "int16"])
def test_filters_of_every_layout(tmp_path: Path, number: int, kind: str) -> None:
    """A plain convolution and one of each channel by itself, with filters left over or not, of one scale or many."""
    first, second = whole(number, 3, 3, 3, kind=kind), whole(number, 1, 2, 2, kind=kind)
    bias, exponents = whole(number, kind="int32"), NOISE.integers(-9, -5, number).tolist()
    constants = [
        filters("first", first, -7),
        Constant("bias", bias, bias.shape, (-9,)),
        filters("second", second, *exponents, grouped=True),
    ]
    window = {"strides": (2, 2), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
    operators = [
        Operator("Conv", ["input", "first", "bias"], "a", {**window, "activation": "Relu", "group": 1}),
        Operator("Conv", ["a", "second"], "b", {"strides": (1, 1), "activation": "Linear", "group": number}),
    ]
    shapes = {"a": (1, 4, 4, number), "b": (1, 3, 3, number)}
    after = functional.relu(functional.conv2d(PICTURES, true(first, -7), true(bias, -9), 2, 1))
    expected = functional.conv2d(after, true(second, *exponents), groups=number)
    assert_equal(write(tmp_path / "a.espdl", SIDE, operators, constants, shapes), expected.permute(0, 2, 3, 1))


def test_a_head_of_transpose_flatten_and_gemm(tmp_path: Path) -> None:
    """esp-ppq moves the channels to the front again before what counts axes."""
    matrix, bias = whole(10, 192), whole(10, kind="int32")
    data, (_, _, *shape), layout = stored_filters(matrix[:, :, None, None], 16, grouped=False)
    constants = [
        Constant("matrix", data, (1, 1, *shape), (-8,), layout),
        Constant("bias", bias, (10,), (-8,)),
        Constant("target", np.array([1, 192], np.int64), (2,)),
    ]
    for kind in ("Flatten", "Reshape"):
        operators = [
            Operator("QuantizeLinear", ["input"], "q"),
            Operator("Transpose", ["q"], "t", {"perm": (0, 3, 1, 2)}),
            Operator(
                kind, ["t"] if kind == "Flatten" else ["t", "target"], "f", {"axis": 1} if kind == "Flatten" else {}
            ),
            Operator("Gemm", ["f", "matrix", "bias"], "g", {"activation": "Linear"}),
        ]
        shapes = {"q": (1, 8, 8, 3), "t": (1, 3, 8, 8), "f": (1, 192), "g": (1, 10)}
        path = write(tmp_path / f"{kind}.espdl", SIDE, operators, constants, shapes)
        assert_equal(path, PICTURES.flatten(1) @ true(matrix, -8).T + true(bias, -8))


def test_pools_branches_and_arithmetic(tmp_path: Path) -> None:
    slope, offset = whole(3, 1, 1), whole(3, 1, 1)
    constants = [
        Constant("slope", slope, slope.shape, (-8,)),
        Constant("offset", offset, offset.shape, (-6,)),
        Constant("low", np.array([-0.5], np.float32), ()),
        Constant("high", np.array([1.0], np.float32), ()),
    ]
    pool = {"kernel_shape": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)}
    operators = [
        Operator("PRelu", ["input", "slope"], "a"),
        Operator("MaxPool", ["a"], "b", pool),
        Operator("AveragePool", ["a"], "c", {**pool, "ceil_mode": 0, "count_include_pad": 0}),
        Operator("Sub", ["b", "c"], "d"),
        Operator("LeakyRelu", ["d"], "e", {"alpha": 0.25}),
        Operator("Concat", ["c", "e"], "f", {"axis": -1}),
        Operator("Clip", ["f", "low", "high"], "g"),
        Operator("Transpose", ["c"], "h", {"perm": (0, 3, 1, 2)}),
        Operator("Mul", ["h", "offset"], "i"),
        Operator("Transpose", ["i"], "j", {"perm": (0, 2, 3, 1)}),
        Operator("Concat", ["g", "j"], "k", {"axis": 3}),
        Operator("Transpose", ["k"], "l", {"perm": (0, 2, 1, 3)}),
        Operator("GlobalAveragePool", ["l"], "m"),
        Operator("Add", ["m", "m"], "n"),
    ]
    shapes = {"a": (1, 8, 8, 3), "f": (1, 4, 4, 6), "h": (1, 3, 4, 4), "k": (1, 4, 4, 9), "n": (1, 1, 1, 9)}
    path = write(tmp_path / "a.espdl", SIDE, operators, constants, shapes)
    a = functional.prelu(PICTURES, true(slope, -8).ravel())
    b, c = functional.max_pool2d(a, 2), functional.avg_pool2d(a, 2)
    g = torch.cat([c, functional.leaky_relu(b - c, 0.25)], 1).clamp(-0.5, 1.0)
    assert_equal(path, 2 * torch.cat([g, c * true(offset, -6)], 1).mean((2, 3)))


@pytest.mark.parametrize(
    ("operators", "constants", "complaint"),
    [
        ([Operator("Softsign", ["input"], "a")], [], r"\(Softsign\) is not among Add, AveragePool"),
        ([Operator("Relu", ["nobody"], "a")], [], "takes 'nobody', which nothing before it gives"),
        ([Operator("Relu", [], "a")], [], "needs what comes from the picture as input 0"),
        ([Operator("Concat", ["input"] * 3, "a", {"axis": 0})], [], "where each picture needs its own row"),
        ([Operator("Concat", ["input"], "a", {"axis": 9})], [], "contradicts itself"),
        ([Operator("Transpose", ["input"], "a", {"perm": (3, 1, 2, 0)})], [], "where each picture needs its own row"),
        ([Operator("Transpose", ["input"], "a", {"perm": (0, 0, 1, 2)})], [], "has the order"),
        ([Operator("MaxPool", ["input"], "a", {"kernel_shape": (2, 0)})], [], "has a window"),
        ([Operator("MaxPool", ["input"], "a", {"kernel_shape": (2, 2**40)})], [], "2 small integers as kernel_shape"),
        ([Operator("MaxPool", ["input"], "a", {"kernel_shape": (99, 99)})], [], "says|contradicts|own row"),
        ([Operator("Conv", ["input"], "a")], [], "needs a constant as input 1"),
        ([Operator("Conv", ["input", "w"], "a", {"group": -3})], [filters("w", whole(4, 3, 1, 1), 0)], "do not fit"),
        ([Operator("Conv", ["input", "w"], "a")], [filters("w", whole(4, 5, 1, 1), 0)], "do not fit an input N x 3"),
        ([Operator("Conv", ["input", "w"], "a")], [filters("w", whole(4, 3, 1, 1), 0, 0)], "have 2 exponents"),
        ([Operator("Conv", ["input", "w"], "a")], [filters("w", whole(4, 3, 1, 1), 99)], r"has the exponents \[99\]"),
        (
            [Operator("Conv", ["input", "w"], "a", {"activation": "Exp"})],
            [filters("w", whole(4, 3, 1, 1), 0)],
            "has the activation 'Exp', where Linear and Relu",
        ),
        (
            [Operator("Conv", ["input", "w"], "a")],
            [Constant("w", whole(12), (1, 1, 3, 4), (0,), "NHWC")],
            "have the layout 'NHWC'",
        ),
        (
            [Operator("Conv", ["input", "w"], "a")],
            [Constant("w", whole(12), (2**31, 2**31, 2**31, 2**31), (0,))],
            "and has 16",
        ),
        (
            [Operator("PRelu", ["input", "w"], "a")],
            [Constant("w", whole(3), (-3, 1, -1), (0,))],
            r"has the shape \[-3, 1, -1\]",
        ),
        (
            [Operator("PRelu", ["input", "w"], "a")],
            [Constant("w", np.full(3, np.nan, np.float32), (3, 1, 1))],
            "not all finite",
        ),
        (
            [Operator("Concat", [name, name], after, {"axis": 3}) for name, after in zip(
                ["input", *map(str, range(39))], [*map(str, range(39)), "a"], strict=True
            )],
            [],
            "values, more than 268435456",
        ),
    ],
)  # fmt: skip
def test_a_wrong_network_is_refused(
    tmp_path: Path, operators: list[Operator], constants: list[Constant], complaint: str
) -> None:
    path = write(tmp_path / "a.espdl", SIDE, operators, constants, {"a": ()})
    with pytest.raises(FormatError, match=complaint) as caught:
        convert("espdl", [path])
    assert str(caught.value).startswith(f"{path}: ")
    assert "again" in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda data: b"", "expected EDL1 or EDL2 at its start, found b''"),
        (lambda data: data[:10], "is 10 bytes"),
        (lambda data: b"PDL2" + data[4:], "found b'PDL2'"),
        (lambda data: b"<html>not found</html>", "found b'<htm'"),
        (lambda data: data[:4] + b"\1" + data[5:], r"encrypted \(mode 1\); take the file that is not"),
        (lambda data: data[:-16], "its header says 1295184 bytes and 1295168 follow"),
        (lambda data: data + b"?" * 16, "its header says 1295184 bytes and 1295200 follow"),
        (lambda data: headed(b""), "expected 4 bytes, found the end after 0"),
        (lambda data: headed(b"\xff" * 64), "expected 4 bytes, found the end after 64"),
        (lambda data: headed(bytes(64)), "it holds no graph"),
        (lambda data: headed(data[:64] * 4096), "byte "),
        (lambda data: data.replace(b"Conv_50", b"Conv_\xff0"), "expected text, found b'Conv_"),
        (lambda data: data.replace(b"N16HWC16", b"N16HWC_6", 1), "have the layout 'N16HWC_6'"),
        (lambda data: data.replace(b"PRelu\0", b"PSelu\0"), r"\(PSelu\) is not among"),
    ],
)
def test_a_damaged_file_is_refused(file: Path, tmp_path: Path, edit: Callable[[bytes], bytes], complaint: str) -> None:
    path = tmp_path / "damaged.espdl"
    path.write_bytes(edit(file.read_bytes()))
    with pytest.raises(FormatError, match=complaint) as caught:
        convert("espdl", [path])
    assert str(caught.value).startswith(f"{path}: ")


def headed(body: bytes) -> bytes:
    """Return `body` with a header that tells its size."""
    return struct.pack("<4sIII", b"EDL2", 0, len(body), 0) + body


def test_the_wrong_files_are_named(file: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.espdl: cannot be read \(No such file"):
        convert("espdl", [tmp_path / "none.espdl"])
    for given in ([], [file, file]):
        with pytest.raises(FormatError, match="an ESP-DL model is one file"):
            convert("espdl", given)


def test_a_truncated_body_is_refused(file: Path, tmp_path: Path) -> None:
    """Cut anywhere, with a header that hides it."""
    path, body = tmp_path / "cut.espdl", file.read_bytes()[16:]
    for length in (1, 4, 20, 100, 1000, 5000, *range(50_000, len(body), 150_000), len(body) - 8, len(body) - 32):
        path.write_bytes(headed(body[:length]))
        with pytest.raises(FormatError, match=r"cut\.espdl: "):
            convert("espdl", [path])


def test_a_file_that_repeats_itself_is_not_read_for_ever(tmp_path: Path) -> None:
    """A node whose 100,000 inputs are one name of 30 kB: 3 GB in half a megabyte."""
    path = write(tmp_path / "bomb.espdl", SIDE, [Operator("Concat", ["input"], "a", {"axis": 3})], [], {"a": ()})
    body = bytearray(path.read_bytes()[16:])
    graph = target(body, field_of(body, target(body, 0), 7))
    node = target(body, target(body, field_of(body, graph, 0)) + 4)
    inputs, count = field_of(body, node, 0), 100_000
    struct.pack_into("<I", body, inputs, len(body) - inputs)
    body += struct.pack("<I", count) + b"".join(struct.pack("<I", 4 * (count - n)) for n in range(count))
    body += struct.pack("<I", 30_000) + b"x" * 30_000
    path.write_bytes(headed(bytes(body)))
    with pytest.raises(FormatError, match="it refers to its own parts more often than a true file does"):
        convert("espdl", [path])


def field_of(body: bytearray, table: int, slot: int) -> int:
    vtable = table - struct.unpack_from("<i", body, table)[0]
    return table + struct.unpack_from("<H", body, vtable + 4 + 2 * slot)[0]


def target(body: bytearray, position: int) -> int:
    return position + struct.unpack_from("<I", body, position)[0]


def test_a_garbled_byte_never_gives_another_error(tmp_path: Path) -> None:
    """Bytes of a small network, nearly all of it structure, replaced: refused, or still a sound recogniser."""
    slope = whole(8, 1, 1)
    constants = [filters("w", whole(8, 3, 3, 3), -7), Constant("slope", slope, slope.shape, (-8,))]
    operators = [
        Operator("Conv", ["input", "w"], "a", {"strides": (2, 2), "pads": (1, 1, 1, 1), "activation": "Relu"}),
        Operator("PRelu", ["a", "slope"], "b"),
        Operator("Concat", ["a", "b"], "c", {"axis": 3}),
        Operator("GlobalAveragePool", ["c"], "d"),
    ]
    shapes = {"a": (1, 4, 4, 8), "c": (1, 4, 4, 16), "d": (1, 1, 1, 16)}
    path = write(tmp_path / "garbled.espdl", SIDE, operators, constants, shapes)
    sound, chance, refusals = path.read_bytes(), random.Random(0), 0
    for number in range(1000):
        data = bytearray(sound)
        for _ in range(1 + number % 3):
            data[chance.randrange(16, len(data))] = chance.choice([0, 1, 4, 127, 128, 255, chance.randrange(256)])
        path.write_bytes(data)
        try:
            model = convert("espdl", [path])
        except FormatError:
            refusals += 1
        else:
            assert model.graph.output[0].name == "embedding"
    assert 200 < refusals < 950
