"""OpenVINO's graphs: equal to OpenVINO's own runtime, differentiable, and no file does harm."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
import pytest
from aligned import (
    aligned_faces,
    assert_can_be_attacked,
    assert_plain,
    cosines,
    embeddings,
    normalised,
    torch_embeddings,
)
from onnx import ModelProto
from openvino import opset1, opset4, opset8

from uncnn.exporters.convert.build import build
from uncnn.exporters.convert.formats import FormatError, convert
from uncnn.exporters.convert.formats.openvino_file import LARGEST_XML
from uncnn.plugins.recognisers.cards import Card, read_card

NAME = "face-reidentification-retail-0095"


@pytest.fixture(scope="module")
def files(shared_models: Path) -> list[Path]:
    return [shared_models / "upstream" / f"{NAME}{suffix}" for suffix in (".xml", ".bin")]


@pytest.fixture(scope="module")
def model(files: list[Path]) -> ModelProto:
    return convert("openvino", files)


@pytest.fixture(scope="module")
def card(recogniser_folder: Callable[[str], Path]) -> Card:
    return read_card(recogniser_folder("openvino-0095"))


@pytest.fixture(scope="module")
def faces(faces_144: Callable[[int], np.ndarray], card: Card) -> np.ndarray:
    return aligned_faces(faces_144, card, 10)


def by_openvino(xml: Path, pictures: np.ndarray) -> np.ndarray:
    """Return what OpenVINO's runtime gives for each picture, flattened, with full precision."""
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(xml), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.stack([compiled([picture[None]])[0].copy().ravel() for picture in pictures])


def test_the_graph_keeps_what_every_format_promises(model: ModelProto) -> None:
    assert_plain(model, side=128, length=256)


def test_equals_openvinos_own_runtime(model: ModelProto, files: list[Path], card: Card, faces: np.ndarray) -> None:
    pictures = normalised(faces, card)
    expected = by_openvino(files[0], pictures)
    np.testing.assert_allclose(embeddings(model, pictures), expected, rtol=0, atol=1e-4)


def test_equals_the_independent_conversion(
    model: ModelProto, shared_models: Path, card: Card, faces: np.ndarray
) -> None:
    pictures = normalised(faces, card)
    ours = embeddings(model, pictures)
    theirs = embeddings(shared_models / "reference" / "openvino-0095" / "model.onnx", pictures)
    assert len(ours) == 10
    assert cosines(ours, theirs).min() >= 0.9999
    assert cosines(ours[:-1], ours[1:]).max() < 0.9, "different faces, or nothing was compared"


def test_the_batch_is_free(model: ModelProto, card: Card, faces: np.ndarray) -> None:
    pictures = normalised(faces, card)[:5]
    alone = np.concatenate([embeddings(model, picture[None]) for picture in pictures])
    np.testing.assert_allclose(embeddings(model, pictures), alone, rtol=0, atol=1e-4)


def test_it_can_be_built(model: ModelProto, card: Card, faces: np.ndarray, tmp_path: Path) -> None:
    assert_can_be_attacked(build(model, card, tmp_path, faces=faces), faces)


def test_the_same_bytes_in_every_process(model: ModelProto, files: list[Path]) -> None:
    code = (
        "import hashlib, sys, pathlib; from uncnn.exporters.convert.formats import convert; "
        "files = [pathlib.Path(name) for name in sys.argv[1:]]; "
        "sys.stdout.buffer.write(convert('openvino', files).SerializeToString())"
    )
    command = [sys.executable, "-c", code, *map(str, reversed(files))]
    other = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert other.stdout == model.SerializeToString()


# Small graphs, written by OpenVINO itself.

NOISE = np.random.default_rng(0)


def constant(*shape: int) -> openvino.Node:
    return opset1.constant(NOISE.normal(size=shape).astype(np.float32))


def axes(*values: int) -> openvino.Node:
    return opset1.constant(np.array(values, np.int64))


def convolved(entry: openvino.Node) -> openvino.Node:
    return opset1.convolution(entry, constant(6, 3, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])


def flat(entry: openvino.Node) -> openvino.Node:
    return opset1.reshape(convolved(entry), axes(1, -1), special_zero=False)


GRAPHS: dict[str, Callable[[openvino.Node], openvino.Node]] = {
    "same_upper": lambda x: opset1.convolution(x, constant(4, 3, 4, 4), [3, 3], [0, 0], [0, 0], [1, 1], "same_upper"),
    "same_lower": lambda x: opset1.convolution(x, constant(4, 3, 4, 4), [3, 3], [0, 0], [0, 0], [1, 1], "same_lower"),
    "valid_dilated": lambda x: opset1.convolution(x, constant(4, 3, 3, 3), [1, 1], [0, 0], [0, 0], [2, 2], "valid"),
    "groups": lambda x: opset1.group_convolution(convolved(x), constant(3, 4, 2, 3, 3), [1, 1], [0, 1], [1, 0], [1, 1]),
    "max_pool": lambda x: opset1.max_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], "ceil"),
    "max_pool_8": lambda x: opset8.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0),
    "average_without_pads": lambda x: opset1.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], exclude_pad=True),
    "average_with_pads": lambda x: opset1.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], exclude_pad=False),
    "sub_div": lambda x: opset1.divide(
        opset1.subtract(x, constant(1, 3, 1, 1)), opset1.add(x, opset1.constant(np.float32(9)))
    ),
    "min_max": lambda x: opset1.maximum(opset1.minimum(x, constant(1)), constant(1)),
    "power": lambda x: opset1.power(opset1.absolute(x), opset1.constant(np.float32(1.5))),
    "clamp_tanh": lambda x: opset1.tanh(opset1.clamp(x, -0.5, 1.0)),
    "hswish": opset8.hswish,
    "relu_erf": lambda x: opset1.erf(opset1.relu(x)),
    "prelu": lambda x: opset1.prelu(convolved(x), constant(6)),
    "prelu_of_one": lambda x: opset1.prelu(x, constant(1)),
    "means": lambda x: opset1.reduce_mean(convolved(x), axes(2, 3), keep_dims=False),
    "maxima": lambda x: opset1.reduce_max(x, axes(-1), keep_dims=True),
    "unit_length": lambda x: opset1.normalize_l2(flat(x), axes(1), 1e-6, "max"),
    "unit_length_add": lambda x: opset1.normalize_l2(flat(x), axes(1), 1e-2, "add"),
    "matmul": lambda x: opset1.matmul(flat(x), constant(6 * 64, 10), False, False),
    "matmul_turned": lambda x: opset1.matmul(flat(x), constant(10, 6 * 64), False, True),
    "attention": lambda x: opset1.softmax(opset1.matmul(x, x, False, True), 3),
    "transposed": lambda x: opset1.reshape(opset1.transpose(x, axes(0, 2, 3, 1)), axes(0, -1), special_zero=True),
    "concat": lambda x: opset1.concat([x, opset1.negative(x), opset1.sigmoid(x)], 1),
    "squeezed": lambda x: opset1.squeeze(opset1.reduce_mean(x, axes(2), keep_dims=True), axes(2)),
    "unsqueezed": lambda x: opset1.unsqueeze(opset1.reduce_mean(x, axes(2), keep_dims=False), axes(3)),
    "lengths": lambda x: opset4.reduce_l2(x, axes(1, 2), keep_dims=True),
    "int8_weights": lambda x: opset1.convolution(
        x,
        opset1.multiply(
            opset1.subtract(
                opset1.convert(opset1.constant(NOISE.integers(-128, 128, (4, 3, 3, 3), np.int8)), "f32"), constant(1)
            ),
            constant(4, 1, 1, 1),
        ),
        *([1, 1], [1, 1], [1, 1], [1, 1]),
    ),
}


def written(folder: Path, graph: Callable[[openvino.Node], openvino.Node], *, half: bool = False) -> list[Path]:
    """Return the files of a graph of a picture 3 x 16 x 16, as OpenVINO serialises it."""
    entry = opset1.parameter([1, 3, 16, 16], np.float32, name="picture")
    path = folder / "small.xml"
    openvino.save_model(openvino.Model([graph(entry)], [entry], "small"), path, compress_to_fp16=half)
    return [path, path.with_suffix(".bin")]


@pytest.mark.parametrize("name", GRAPHS)
def test_every_operator_equals_openvinos_own(name: str, tmp_path: Path) -> None:
    files = written(tmp_path, GRAPHS[name])
    pictures = NOISE.normal(size=(3, 3, 16, 16)).astype(np.float32)
    expected = by_openvino(files[0], pictures)
    model = convert("openvino", files)
    for found in (embeddings(model, pictures), torch_embeddings(model, tmp_path, pictures)):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def refused(graph: Callable[[openvino.Node], openvino.Node], folder: Path) -> str:
    with pytest.raises(FormatError) as caught:
        convert("openvino", written(folder, graph))
    return str(caught.value)


def test_what_is_not_understood_is_named(tmp_path: Path) -> None:
    quantised = refused(
        lambda x: opset1.fake_quantize(x, constant(1), constant(1), constant(1), constant(1), 256), tmp_path
    )
    assert "(FakeQuantize) quantises to 8 bits" in quantised
    assert "FP16 or FP32" in quantised
    assert "(Selu) is not among Abs, Add" in refused(
        lambda x: opset1.selu(x, opset1.constant(np.float32(1)), opset1.constant(np.float32(1))), tmp_path
    )
    assert "each picture must stay by itself" in refused(
        lambda x: opset1.reshape(x, axes(3, 256), special_zero=False), tmp_path
    )
    assert "its result does not depend on the picture" in refused(
        lambda x: opset1.add(constant(1, 4), constant(1, 4)), tmp_path
    )
    assert "is no colour picture" in refused_shape(tmp_path, [1, 1, 16, 16])
    assert "is no colour picture" in refused_shape(tmp_path, [1, 3, -1, 16])


def refused_shape(folder: Path, shape: list[int]) -> str:
    entry = opset1.parameter(openvino.PartialShape(shape), np.float32)
    path = folder / "shape.xml"
    openvino.save_model(openvino.Model([opset1.relu(entry)], [entry], "small"), path)
    with pytest.raises(FormatError) as caught:
        convert("openvino", [path, path.with_suffix(".bin")])
    return str(caught.value)


def edited(files: list[Path], folder: Path, edit: Callable[[str], str]) -> list[Path]:
    xml = folder / "edited.xml"
    before = files[0].read_text()
    xml.write_text(edit(before))
    assert xml.read_text() != before
    shutil.copy(files[1], xml.with_suffix(".bin"))
    return [xml, xml.with_suffix(".bin")]


LAUGHS = "<!DOCTYPE net [" + '<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(20)
) + "]><net>&u;</net>"  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda text: "", "is no OpenVINO graph"),
        (lambda text: "<html>not found</html>", "found <html version=None>"),
        (lambda text: "not xml at all", "is no OpenVINO graph"),
        (lambda text: LAUGHS, "DTDForbidden"),
        (lambda text: '<!DOCTYPE net SYSTEM "file:///etc/passwd"><net/>', "DTDForbidden"),
        (lambda text: '<?xml version="1.0" encoding="klingon"?><net/>', "is no OpenVINO graph"),
        (lambda text: "<a>" * 100_000, "is no OpenVINO graph"),
        (lambda text: text + " " * LARGEST_XML, "larger than"),
        (lambda text: text.replace('version="11"', 'version="7"', 1), "found <net version='7'>"),
        (lambda text: text.replace("<layers>", "<others>").replace("</layers>", "</others>"), "layers are missing"),
        (lambda text: text.replace('layer id="2"', 'layer id="1"', 1), "two have one id"),
        (lambda text: text.replace('to-layer="3" to-port="0"', 'to-layer="99999" to-port="0"', 1), "joins no input"),
        (lambda text: text.replace('from-layer="0" from-port="0"', 'from-layer="0" from-port="9"', 1), "joins no"),
        (lambda text: text.replace('from-layer="0" from-port="0"', 'from-layer="9" from-port="2"', 1), "in a circle"),
        (lambda text: text.replace('to-layer="3" to-port="1"', 'to-layer="3" to-port="0"', 1), "comes from nowhere"),
        (lambda text: text.replace("<dim>128</dim>", "<dim>many</dim>", 1), "expected an integer, found 'many'"),
        (lambda text: text.replace("<dim>128</dim>", f"<dim>{'9' * 5000}</dim>", 1), "expected an integer"),
        (lambda text: re.sub(r"<dim>64(</dim>\s*<dim>64</dim>\s*<dim>64)", r"<dim>65\1", text), "but it says 1 x 65 x"),
        (lambda text: text.replace('offset="0" size="6"', 'offset="-1" size="6"', 1), "is 6 bytes at -1"),
        (lambda text: text.replace('offset="0" size="6"', 'offset="2213627" size="6"', 1), "the .bin has 2213628"),
        (lambda text: text.replace('shape="1, 3, 1, 1" offset="0"', 'shape="999999, 99999" offset="0"', 1), "is 6 b"),
        (lambda text: text.replace('shape="1, 3, 1, 1"', f'shape="{"1," * 9}6"', 1), "is 6 bytes at 0"),
        (lambda text: text.replace('element_type="f16"', 'element_type="nf4"', 1), "is 'nf4', and only"),
        (lambda text: text.replace('strides="2, 2"', 'strides="2, 0"', 1), "a window of nothing"),
        (lambda text: text.replace('strides="2, 2"', 'strides="2"', 1), "2 small integers as strides"),
        (lambda text: text.replace('pads_begin="1, 1"', 'pads_begin="9, 9"', 1), "more than its window"),
        (lambda text: text.replace('kernel="32, 32"', 'kernel="9999, 9999"', 1), "says|contradicts"),
        (lambda text: text.replace('auto_broadcast="numpy"', 'auto_broadcast="pdpd"', 1), "numpy's broadcasting"),
        (lambda text: text.replace('type="Sigmoid"', 'type="Exec"', 1), r"\(Exec\) is not among Abs"),
        (lambda text: text.replace('type="Result"', 'type="Sigmoid"', 1), "0 layers of the kind Result"),
        (lambda text: text.replace('type="Parameter"', 'type="ReLU"', 1), r"\(ReLU\) has 0 inputs"),
    ],
)
def test_a_wrong_graph_is_refused(
    files: list[Path], tmp_path: Path, edit: Callable[[str], str], complaint: str
) -> None:
    changed = edited(files, tmp_path, edit)
    with pytest.raises(FormatError, match=complaint) as caught:
        convert("openvino", changed)
    assert str(caught.value).startswith(f"{changed[0]}: ")
    assert "again" in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_the_wrong_files_are_named(files: list[Path], tmp_path: Path) -> None:
    for given in ([], files[:1], [*files, files[0]], [files[0], files[0]]):
        with pytest.raises(FormatError, match=r"an OpenVINO model is an \.xml and a \.bin"):
            convert("openvino", given)
    with pytest.raises(FormatError, match=r"none\.bin: cannot be read \(No such file"):
        convert("openvino", [files[0], tmp_path / "none.bin"])
    empty = tmp_path / "empty.bin"
    empty.touch()
    with pytest.raises(FormatError, match=r"the \.bin has 0"):
        convert("openvino", [files[0], empty])


def test_weights_that_are_no_numbers_are_refused(files: list[Path], tmp_path: Path) -> None:
    weights = tmp_path / "infinite.bin"
    weights.write_bytes(b"\x00\x7c" + files[1].read_bytes()[2:])
    with pytest.raises(FormatError, match="its weights are not all finite"):
        convert("openvino", [files[0], weights])


def layers(*descriptions: tuple[str, str, int]) -> str:
    """Return a graph of (kind, attributes, number of inputs), each fed by the layer before it."""
    text, edges = "", ""
    for number, (kind, attributes, count) in enumerate(descriptions):
        ports = "".join(f'<port id="{port}"/>' for port in range(count))
        text += f'<layer id="{number}" type="{kind}"><data {attributes}/><input>{ports}</input>'
        text += f'<output><port id="{count}">{PICTURE if kind == "Parameter" else ""}</port></output></layer>'
        before = descriptions[number - 1][2]
        for port in range(count):
            edges += f'<edge from-layer="{number - 1}" from-port="{before}" to-layer="{number}" to-port="{port}"/>'
    return f'<net version="11"><layers>{text}</layers><edges>{edges}</edges></net>'


PICTURE = "".join(f"<dim>{side}</dim>" for side in (1, 3, 16, 16))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            layers(
                *[
                    ("Const", f'element_type="u8" shape="{2**20 - n}" offset="{n}" size="{2**20 - n}"', 0)
                    for n in range(900)
                ]
            ),
            "share more of the .bin than a true file's do",
        ),
        (
            layers(("Parameter", "", 0), *[("Concat", 'axis="1"', 2)] * 40, ("Result", "", 1)),
            r"values, more than 268435456",
        ),
        (
            layers(("Parameter", "", 0), *[("Concat", 'axis="0"', 2)] * 70, ("Result", "", 1)),
            "gives . x 3 x 16 x 16, where each picture",
        ),
        (
            layers(
                ("Const", 'element_type="u8" shape="1048576,1" offset="0" size="1048576"', 0),
                ("Transpose", "", 2),
                ("Add", "", 2),
                ("Result", "", 1),
            ),
            "transposes 2 dimensions",
        ),
    ],
    ids=["shared", "doubled", "batched", "turned"],
)
def test_a_small_file_that_describes_a_huge_network_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    xml, weights = tmp_path / "huge.xml", tmp_path / "huge.bin"
    xml.write_text(text)
    weights.write_bytes(bytes(2**20))
    with pytest.raises(FormatError, match=complaint):
        convert("openvino", [xml, weights])


def test_constants_that_broadcast_to_a_huge_one_are_refused(tmp_path: Path) -> None:
    """Column plus row: 2 MiB that would be 256 GiB."""
    files = written(tmp_path, lambda x: opset1.add(x, opset1.add(constant(16, 1), constant(1, 16))))
    text, side = files[0].read_text(), 262144
    for before, after in (("16, 1", f"{side}, 1"), ("1, 16", f"1, {side}")):
        assert f'shape="{before}"' in text
        text = text.replace(f'shape="{before}"', f'shape="{after}"')
    files[0].write_text(text.replace('size="64"', f'size="{4 * side}"'))
    files[1].write_bytes(bytes(2 * 4 * side))
    with pytest.raises(FormatError, match="its constants are more than 268435456 values"):
        convert("openvino", files)


def test_a_truncated_file_is_refused(files: list[Path], tmp_path: Path) -> None:
    xml, weights = tmp_path / "cut.xml", tmp_path / "cut.bin"
    text, data = (file.read_bytes() for file in files)
    weights.write_bytes(data)
    for share in (0.001, 0.01, 0.1, 0.5, 0.9, 0.999, 0.99999):
        xml.write_bytes(text[: int(share * len(text))])
        with pytest.raises(FormatError, match=r"cut\.xml: is no OpenVINO graph"):
            convert("openvino", [xml, weights])
    xml.write_bytes(text)
    for length in (5, len(data) // 2, len(data) - 1):
        weights.write_bytes(data[:length])
        with pytest.raises(FormatError, match=rf"the \.bin has {length}"):
            convert("openvino", [xml, weights])


def test_a_garbled_byte_never_gives_another_error(tmp_path: Path) -> None:
    """Bytes of a small graph and of its weights, replaced: refused, or still a sound recogniser."""
    pair = written(
        tmp_path, lambda x: opset1.prelu(opset1.add(convolved(x), constant(1, 6, 1, 1)), constant(6)), half=True
    )
    sound, chance, refusals = [file.read_bytes() for file in pair], random.Random(0), 0
    for number in range(300):
        garbled = [bytearray(data) for data in sound]
        target = garbled[number % 8 == 0]
        target[chance.randrange(len(target))] = chance.choice([chance.randrange(256), ord(chance.choice('0189-<>" ,'))])
        for file, data in zip(pair, garbled, strict=True):
            file.write_bytes(data)
        try:
            model = convert("openvino", pair)
        except FormatError:
            refusals += 1
        else:
            assert model.graph.output[0].name == "embedding"
    assert 30 < refusals < 290
