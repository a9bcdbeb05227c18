"""dlib's recogniser: equal to dlib's own runtime, differentiable, and never half on the disk."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
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

from uncnn.exporters.convert.formats import FormatError, convert, torch_network
from uncnn.exporters.convert.formats.dlib_file import PACKAGE, DlibError, Weights, read_dlib
from uncnn.exporters.convert.formats.dlib_network import DlibResnet, onnx_model
from uncnn.exporters.pulling.packages import PackageError, packaged
from uncnn.exporters.pulling.pull import install
from uncnn.exporters.registry.catalog import RecogniserEntry, read_catalog
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import MODEL_FILE, TEMPLATES, Card, check_model, read_card, write_card

NAME = "dlib-resnet"


def entry() -> RecogniserEntry:
    (found,) = read_catalog().named([NAME])
    assert isinstance(found, RecogniserEntry)
    return found


def original_file() -> Path:
    """Return the file that dlib's author published, in the package that ships it."""
    return packaged(entry().files[0])


def export(destination: Path) -> Path:
    return install(entry(), [original_file()], destination)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return read_dlib(original_file())


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    destination = tmp_path_factory.mktemp("models")
    export(destination)
    return destination


@pytest.fixture(scope="module")
def card(models) -> Card:
    return read_card(models / NAME)


@pytest.fixture(scope="module")
def original() -> "dlib.face_recognition_model_v1":
    return dlib.face_recognition_model_v1(str(original_file()))


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """Return the astronaut's face as dlib itself cuts it, (1, 150, 150, 3)."""
    points = original_file().with_name("shape_predictor_5_face_landmarks.dat")
    photo = astronaut()
    (box,) = dlib.get_frontal_face_detector()(photo)
    return dlib.get_face_chip(photo, dlib.shape_predictor(str(points))(photo, box), size=150)[None]


@pytest.fixture(scope="module")
def faces(faces_144: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return real faces warped to dlib's template, (24, 150, 150, 3)."""
    points = np.array(TEMPLATES["arcface-112"]) + 16
    warp = SimilarityTransform.from_estimate(points, np.array(TEMPLATES["dlib-150"]))
    return np.stack([cv2.warpAffine(photo, warp.params[:2], (150, 150)) for photo in faces_144(24)])


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
    exported = by_onnxruntime(models / NAME / MODEL_FILE, pictures)
    np.testing.assert_allclose(exported, expected, rtol=0, atol=1e-5)


def test_equals_dlib_on_a_portrait(portrait, models, card, weights, original):
    assert_equals_dlib(portrait, models, card, weights, original)


@pytest.mark.slow
def test_equals_dlib_on_real_faces(faces, models, card, weights, original):
    assert len(faces) >= 20
    assert_equals_dlib(faces, models, card, weights, original)


def test_equals_the_independent_conversion(faces, models, card, shared_models):
    pictures = normalised(faces, card)
    ours = by_onnxruntime(models / NAME / MODEL_FILE, pictures)
    theirs = by_onnxruntime(shared_models / "reference" / NAME / MODEL_FILE, pictures)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    cosines = np.sum(ours * theirs, 1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() > 0.9999


def test_card(models, card, shared_models):
    reference = read_card(shared_models / "reference" / NAME)
    same = ("name", "role", "input", "template", "embedding", "metric")
    assert all(getattr(card, key) == getattr(reference, key) for key in same)
    assert card.source.sha256 == reference.source.sha256
    assert card.licence.use == "permissive"
    assert 0 <= card.parity < 1e-5
    check_model(models / NAME, card)


def test_what_ships_is_what_dlibs_file_gives(models, card):
    assert read_card(EMBEDDED / NAME).sha256 == card.sha256
    check_model(EMBEDDED / NAME, card)


def test_the_graph_is_plain_and_always_the_same(models, weights):
    model = onnx.load(models / NAME / MODEL_FILE)
    onnx.checker.check_model(model, full_check=True)
    plain = {"Add", "AveragePool", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "MaxPool", "Pad", "Relu"}
    assert {node.op_type for node in model.graph.node} == plain
    assert {constant.data_type for constant in model.graph.initializer} == {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }
    assert onnx_model(weights).SerializeToString() == model.SerializeToString()


def test_onnx2torch_converts_it(portrait, models, card, weights):
    network = onnx2torch.convert(str(models / NAME / MODEL_FILE)).eval()
    pictures = torch.from_numpy(normalised(np.concatenate([portrait, portrait[:, :, ::-1]]), card))
    with torch.inference_mode():
        expected = DlibResnet(weights)(pictures)
        torch.testing.assert_close(network(pictures), expected, rtol=0, atol=1e-5)


def test_the_gradient_equals_finite_differences(portrait, models, card):
    network = onnx2torch.convert(str(models / NAME / MODEL_FILE)).eval().double()
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
    files = [original_file()]
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


def test_without_the_package_that_is_said():
    file = entry().files[0].model_copy(update={"package": "a_package_that_nobody_installed"})
    with pytest.raises(PackageError, match=r"a_package_that_nobody_installed, which is not installed: .* --from"):
        packaged(file)


def test_finding_imports_nothing():
    assert original_file().is_file()
    assert PACKAGE not in sys.modules, "its __init__ needs pkg_resources"


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
    path.write_bytes(edit(original_file().read_bytes()))
    with pytest.raises(DlibError, match=complaint) as raised:
        read_dlib(path)
    assert str(raised.value).startswith(f"{path}: byte ")
    assert "install face_recognition_models again" in str(raised.value)


def test_a_garbled_byte_never_gives_another_error(tmp_path):
    """Bytes of the header and of the end, flipped: refused, or a changed number that only the hash can tell."""
    data, path, refused = original_file().read_bytes(), tmp_path / "garbled.dat", 0
    offsets = [*range(0, 380, 17), *range(len(data) - 60, len(data), 9)]
    for offset in offsets:
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 0xFF]) + data[offset + 1 :])
        try:
            read_dlib(path)
        except DlibError:
            refused += 1
    assert refused > len(offsets) / 2


def test_another_file_is_not_taken():
    file = entry().files[0]
    with pytest.raises(PackageError, match=rf"its sha256 is {file.sha256}, but the catalog says {'0' * 64}"):
        packaged(file.model_copy(update={"sha256": "0" * 64}))
    with pytest.raises(PackageError, match=r"missing\.dat: cannot be read \(No such file"):
        packaged(file.model_copy(update={"path": "models/missing.dat"}))


def inode(models: Path) -> int:
    return (models / NAME / MODEL_FILE).stat().st_ino


@pytest.fixture
def proven(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the graph, which is proven as `models` is made, the same proof again: it takes seconds."""
    monkeypatch.setattr("uncnn.exporters.convert.build.parity", lambda *_given: card.parity)
    monkeypatch.setattr("uncnn.exporters.convert.build.check_gradient", lambda *_given: None)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


COMPLETE = {"dlib-resnet", "dlib-resnet/card.yaml", "dlib-resnet/model.onnx"}


def test_a_sound_folder_stays(models, proven):
    before = inode(models)
    assert export(models) == models / NAME
    assert inode(models) == before
    assert names(models) == COMPLETE


def test_another_card_is_replaced(models, tmp_path, proven):
    folder = Path(shutil.copytree(models, tmp_path / "models")) / NAME
    expected = read_card(folder)
    write_card(expected.model_copy(update={"thresholds": {1e-3: 0.5}}), folder)
    export(folder.parent)
    assert read_card(folder) == expected
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
def test_a_damaged_folder_is_rebuilt(models, tmp_path, proven, damage):
    folder = Path(shutil.copytree(models / NAME, tmp_path / NAME))
    expected = read_card(folder)
    damage(folder)
    assert export(tmp_path) == folder
    assert read_card(folder).sha256 == expected.sha256
    check_model(folder, read_card(folder))
    assert names(folder) == {"card.yaml", "model.onnx"}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_two_processes_at_once(tmp_path):
    code = (
        "import sys, pathlib; from uncnn.exporters.registry.catalog import read_catalog; "
        "from uncnn.exporters.pulling.pull import install; print('ready', flush=True); input(); "
        "entry = read_catalog().named(['dlib-resnet'])[0]; "
        "print(install(entry, [pathlib.Path(sys.argv[1])], pathlib.Path(sys.argv[2])))"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(original_file()), str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        folder = export(tmp_path)
        check_model(folder, read_card(folder))  # whether or not the other one is done
        output, complaints = other.communicate(timeout=600)
    assert (other.returncode, output, complaints) == (0, f"{folder}\n", "")
    check_model(folder, read_card(folder))
    assert names(tmp_path) == COMPLETE


def test_a_killed_build_is_cleared_away(tmp_path, proven):
    old, recent = tmp_path / ".dlib-resnet-old", tmp_path / ".dlib-resnet-recent"
    for folder in (old, recent):
        folder.mkdir()
    os.utime(old, (0, 0))
    export(tmp_path)
    assert names(tmp_path) == COMPLETE | {recent.name}
