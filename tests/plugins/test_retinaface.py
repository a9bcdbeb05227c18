"""RetinaFace with its real weights on real photos: anchors, runtimes, coordinates, sizes, errors, recall."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from retinaface.box_utils import decode as reference_decode
from retinaface.box_utils import decode_landm
from retinaface.net import FPN, SSH
from retinaface.network import BboxHead, ClassHead, LandmarkHead
from retinaface.prior_box import priorbox

from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors.retinaface import NARROWEST, DetectorError, RetinaFace, load_onnx
from uncnn.plugins.detectors.retinaface_boxes import UNSEEN, anchors, decode, mirror, overlap
from uncnn.plugins.detectors.retinaface_network import (
    INPUT_FORMATS,
    MobileNetRetinaFace,
    ResNetRetinaFace,
    export_onnx,
    load_network,
    load_torch,
    resnet50,
)
from uncnn.plugins.detectors.retinaface_views import TILE, TILE_OVERLAP, ladder

CPU = ["CPUExecutionProvider"]


@pytest.fixture(scope="module", autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(detector_weights: Path) -> Path:
    return detector_weights


@pytest.fixture(scope="module")
def onnx_file(detector_onnx: Path) -> Path:
    return detector_onnx


@pytest.fixture(scope="module")
def detector(onnx_file: Path) -> RetinaFace:
    return load_onnx(onnx_file, CPU, threads=2)


@pytest.fixture(scope="module")
def in_torch(weights: Path) -> RetinaFace:
    return load_torch(weights)


@pytest.fixture(scope="module")
def photos(portraits: Callable[[int], list[Pixels]]) -> list[Pixels]:
    return portraits(4)


@pytest.fixture(scope="module")
def group(photos: list[Pixels]) -> Pixels:
    """Return a picture of several people, (500, 640, 3)."""
    rows = [np.concatenate(photos[start : start + 2], axis=1) for start in (0, 2)]
    return np.pad(np.concatenate(rows), ((0, 0), (0, 140), (0, 0)), mode="edge")


def points(faces: list[Face]) -> np.ndarray:
    """Return (N, 7, 2): box and landmarks, from left to right."""
    table = [np.array([face.box[:2], face.box[2:], *face.landmarks]) for face in faces]
    return np.array(sorted(table, key=lambda face: face[0, 0])).reshape(-1, 7, 2)


def assert_same(found: list[Face], expected: list[Face], pixels: float = 0.01) -> None:
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(points(found), points(expected), atol=pixels)


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (100, 70), (33, 65), (640, 480)])
def test_anchors_are_the_packages_priors(size: tuple[int, int]) -> None:
    height, width = size
    priors = priorbox([[16, 32], [64, 128], [256, 512]], [8, 16, 32], False, size).numpy()
    found = anchors(height, width)
    np.testing.assert_allclose(found[:, [0, 1, 2, 2]], priors * [width, height, width, height], rtol=1e-5)
    assert anchors(height, width) is found
    assert not found.flags.writeable


def test_decoding_is_the_packages() -> None:
    height, width = 64, 96
    priors = torch.from_numpy(anchors(height, width)[:, [0, 1, 2, 2]])
    noise = np.random.default_rng(0).standard_normal((len(priors), 16)).astype(np.float32)
    outputs = (noise[None, :, :4], noise[None, :, 4:6], noise[None, :, 6:])
    seen = 1 / (1 + np.exp(noise[:, 4] - noise[:, 5])) >= UNSEEN
    found = decode(outputs, 0, height, width, view=2)
    boxes = reference_decode(torch.from_numpy(noise[:, :4]), priors, [0.1, 0.2]).numpy()[seen]
    landmarks = decode_landm(torch.from_numpy(noise[:, 6:]), priors, [0.1, 0.2]).numpy()[seen]
    np.testing.assert_allclose(found.boxes, boxes, atol=1e-3)
    np.testing.assert_allclose(found.points[:, 2:].reshape(-1, 10), landmarks, atol=1e-3)
    assert set(found.views) == {2}
    np.testing.assert_allclose(mirror(mirror(found, width), width).points, found.points, atol=1e-3)


def test_overlap_of_boxes_known_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [3, 3, 3, 3]], np.float32)
    np.testing.assert_allclose(overlap(boxes[0], boxes), [1, 1 / 3, 0, 0], atol=1e-6)
    assert overlap(boxes[3], boxes)[3] == 0  # empty boxes overlap nothing, and divide by nothing


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (500, 340), (4000, 3000), (3000, 4000), (60, 20000), (12000, 9000)])
def test_tiles_cover_a_view_and_their_cores_part_it(size: tuple[int, int]) -> None:
    for view in ladder(*size, 12_000_000):
        height, width = view.tile
        assert height % 32 == width % 32 == 0
        assert height <= TILE
        assert width <= TILE
        tiles = list(view.tiles())
        for axis, (side, length) in enumerate(((height, view.height), (width, view.width))):
            spans = sorted({tile[axis].start: tile[axis] for tile in tiles}.values(), key=lambda span: span.start)
            assert spans[0].start == 0
            assert spans[-1].start + side >= length
            for before, after in pairwise(spans):
                assert before.core[1] == after.core[0]
                assert after.start + TILE_OVERLAP / 2 <= after.core[0] <= before.start + side - TILE_OVERLAP / 2


def test_the_work_on_a_photo_is_bounded() -> None:
    for size in ((4000, 3000), (12000, 9000), (60, 20000)):
        pixels = [view.width * view.height for view in ladder(*size, 12_000_000)]
        assert max(pixels) <= 12_100_000
        assert sum(pixels) <= 1.65 * max(pixels)


def test_published_weights_fit_exactly(shared_models: Path) -> None:
    weights = shared_models / "reference" / "retinaface-mobilenet0.25.pth"
    state = torch.load(weights, map_location="cpu", weights_only=True)
    assert set(MobileNetRetinaFace().state_dict()) == {name.removeprefix("module.") for name in state}
    assert load_network(weights)[1] == INPUT_FORMATS["mobilenet0.25"]


@pytest.mark.slow
def test_torch_and_onnxruntime_agree(detector: RetinaFace, in_torch: RetinaFace, group: Pixels) -> None:
    for size in ((64, 96), (256, 224), (480, 640)):
        crops = [group[: size[0], : size[1]], group[-size[0] + 5 :, -size[1] :]]
        images = detector.forward.input_format.prepare(crops, *size)
        for ours, theirs in zip(detector.forward(images), in_torch.forward(images), strict=True):
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() <= 1e-4
    assert_same(in_torch.detect(group), detector.detect(group))


@pytest.mark.slow
def test_faces_are_where_they_are_at_another_size(detector: RetinaFace, photos: list[Pixels]) -> None:
    """Each point is as exact as the network is; their mean shows that no half pixel is lost in the mapping."""
    for photo in photos:
        face = detector.detect(photo)[0]
        height, width = photo.shape[:2]
        for scale in (0.5, 1.5, 2, 3):
            size = (round(scale * width), round(scale * height))
            resized = detector.detect(np.asarray(Image.fromarray(photo).resize(size)))[0]
            offset = (points([resized]) + 0.5) / [size[0] / width, size[1] / height] - 0.5 - points([face])
            assert np.abs(offset).max() < 0.06 * face.size_px
            assert np.abs(offset[0, 2:]).max() < 0.03 * face.size_px
            assert np.abs(offset.mean(axis=(0, 1))).max() < 0.02 * face.size_px


def test_faces_move_with_the_photo(detector: RetinaFace, photos: list[Pixels]) -> None:
    for photo in photos:
        height, width = photo.shape[:2]
        canvas = np.full((height + 97, width + 61, 3), 127, np.uint8)
        canvas[53 : 53 + height, 37 : 37 + width] = photo
        face = detector.detect(photo)[0]
        moved = detector.detect(canvas)[0]
        np.testing.assert_allclose(points([moved]) - [37, 53], points([face]), atol=0.05 * face.size_px)


def test_a_mirrored_photo_gives_mirrored_faces(detector: RetinaFace, photos: list[Pixels]) -> None:
    offsets = []
    for photo in photos:
        face, mirrored = detector.detect(photo)[0], detector.detect(np.ascontiguousarray(photo[:, ::-1]))[0]
        back = points([mirrored])[0][[1, 0, 3, 2, 4, 6, 5]]
        back[:, 0] = photo.shape[1] - 1 - back[:, 0]
        back[:2, 1] = back[1::-1, 1]
        offsets.append((back - points([face])[0]) / face.size_px)
    assert np.abs(offsets).max() < 0.06
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.03


def test_a_batch_is_what_its_photos_are_alone(detector: RetinaFace, photos: list[Pixels], group: Pixels) -> None:
    batch = [photos[0], group, *photos[1:], photos[0][:200]]
    for photo, found in zip(batch, detector.detect_batch(batch), strict=True):
        assert_same(found, detector.detect(photo))
    assert detector.detect_batch([]) == []


@pytest.mark.slow
def test_tiles_give_each_face_once(detector: RetinaFace, photos: list[Pixels]) -> None:
    canvas = np.full((300, 5000, 3), 127, np.uint8)
    places = [0, 620, 1230, 1800, 2400, 3000, 3600, 4200, 4750]
    for number, place in enumerate(places):
        canvas[25:275, place : place + 250] = photos[number % len(photos)]
    assert len(list(ladder(5000, 300, detector.view_pixels)[0].tiles())) > 1
    centres = points(detector.detect(canvas))[:, :2, 0].mean(axis=1)
    for place in places:
        assert ((centres > place + 60) & (centres < place + 190)).sum() == 1


@pytest.mark.parametrize("shape", [(1, 1), (20, 20), (7, 900), (3000, 12)])
@pytest.mark.parametrize("level", [0, 255])
def test_photos_of_odd_shapes_have_no_faces(detector: RetinaFace, shape: tuple[int, int], level: int) -> None:
    assert detector.detect(np.full((*shape, 3), level, np.uint8)) == []


def test_a_strip_is_not_looked_at_however_long_it_is(detector: RetinaFace) -> None:
    never = replace(detector, forward=None)
    for shape in ((1, 5_000_000), (5_000_000, 1), (NARROWEST - 1, 500_000)):
        assert never.detect(np.zeros((*shape, 3), np.uint8)) == []


@pytest.mark.slow
def test_grey_photos_and_faces_that_fill_the_photo(detector: RetinaFace, photos: list[Pixels]) -> None:
    for photo in photos[:2]:
        grey = np.asarray(Image.fromarray(photo).convert("L").convert("RGB"))
        assert detector.detect(grey)[0].score > 0.8
        face = detector.detect(photo)[0]
        x0, y0, x1, y1 = (round(value) for value in face.box)
        tight = Image.fromarray(photo[max(y0, 0) : y1, max(x0, 0) : x1])
        for width in (24, 80, 500, 1100):
            close = detector.detect(np.asarray(tight.resize((width, round(width * tight.height / tight.width)))))
            assert len(close) == 1, width
            assert close[0].size_px > 0.7 * width


def test_boxes_stay_inside_the_photo_and_the_best_comes_first(detector: RetinaFace, photos: list[Pixels]) -> None:
    cut = photos[0][:, : photos[0].shape[1] // 2 + 5]
    faces = replace(detector, threshold=0.05).detect(cut)
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    for face in faces:
        assert -0.5 <= face.box[0] < face.box[2] <= cut.shape[1] - 0.5
        assert -0.5 <= face.box[1] < face.box[3] <= cut.shape[0] - 0.5


@pytest.mark.slow
def test_most_faces_of_a_crowd_are_found_and_few_others(detector: RetinaFace, shared_data: Path) -> None:
    """Guards the figures of benchmarks/detector.py on a part of its photos."""
    entries = list(json.loads((shared_data / "widerface" / "boxes.json").read_text()).items())[::8]
    files = {file.name: file for file in (shared_data / "widerface").rglob("*.jpg")}
    found = []
    for name, entry in entries:
        faces = detector.detect(np.asarray(Image.open(files[name]).convert("RGB")))
        boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4) + 0.5
        for box in np.array(entry["boxes"], np.float32).reshape(-1, 4):
            if (box[2:] - box[:2]).min() >= 20:
                found.append(bool((overlap(box, boxes) >= 0.5).any()))
    assert len(found) > 30
    assert np.mean(found) >= 0.85
    others = sorted((shared_data / "noface").rglob("*.jpg"))[::8]
    assert sum(bool(detector.detect(np.asarray(Image.open(file).convert("RGB")))) for file in others) <= 4


def test_the_layers_are_those_of_retinaface_pytorch(weights: Path) -> None:
    """Its pyramid, context modules and heads give what ours do, to the bit, of what the body gives."""
    network = load_network(weights)[0]
    assert isinstance(network, MobileNetRetinaFace)
    state = network.state_dict()

    def filled(module: torch.nn.Module, name: str) -> torch.nn.Module:
        module.load_state_dict({key.removeprefix(name): state[key] for key in state if key.startswith(name)})
        return module.eval()

    with torch.inference_mode():
        images = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0)) * 255 - 127
        levels = filled(FPN([64, 128, 256], 64), "fpn.")(network.body(images))
        levels = [filled(SSH(64, 64), f"ssh{number}.")(level) for number, level in enumerate(levels, 1)]
        for kind, mine in zip((BboxHead, ClassHead, LandmarkHead), network.heads(levels), strict=True):
            heads = [filled(kind(64, 2), f"{kind.__name__}.{number}.") for number in range(3)]
            parts = [head(level) for head, level in zip(heads, levels, strict=True)]
            assert torch.equal(mine, torch.cat(parts, dim=1))
        assert all(torch.equal(*pair) for pair in zip(levels, network.features(images), strict=True))


@pytest.mark.slow
def test_resnet50_is_that_of_retinaface_pytorch() -> None:
    torch.manual_seed(0)
    published, ours = resnet50().eval(), ResNetRetinaFace().eval()
    assert type(published).__module__ == "retinaface.network"
    ours.load_state_dict(published.state_dict())
    images = torch.randn(2, 3, 64, 128)
    with torch.inference_mode():
        assert all(torch.equal(*pair) for pair in zip(published(images), ours(images), strict=True))


def test_resnet50_needs_no_retinaface_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retinaface.network", None)
    assert isinstance(resnet50(), ResNetRetinaFace)


@pytest.mark.slow
def test_resnet50_loads_runs_and_exports(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = {f"module.{name}": value for name, value in ResNetRetinaFace().state_dict().items()}
    torch.save(state, tmp_path / "resnet50.pth")
    export_onnx(tmp_path / "resnet50.pth", tmp_path / "resnet50.onnx")
    ours, theirs = load_torch(tmp_path / "resnet50.pth"), load_onnx(tmp_path / "resnet50.onnx", CPU, threads=2)
    assert ours.forward.input_format == theirs.forward.input_format == INPUT_FORMATS["resnet50"]
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 128)).astype(np.float32)
    for in_torch, in_onnx in zip(ours.forward(images), theirs.forward(images), strict=True):
        assert np.abs(in_torch - in_onnx).max() <= 1e-4
    assert isinstance(replace(theirs, view_pixels=10_000).detect(np.zeros((40, 60, 3), np.uint8)), list)


def test_missing_and_damaged_weights_are_named(weights: Path, tmp_path: Path) -> None:
    damaged, cut, foreign, unfit = (tmp_path / f"{name}.pth" for name in ("damaged", "cut", "foreign", "unfit"))
    damaged.write_bytes(b"not a checkpoint")
    cut.write_bytes(weights.read_bytes()[:500_000])
    torch.save({"layer.weight": torch.zeros(3)}, foreign)
    torch.save({"body.stage1.0.0.weight": torch.zeros(8, 3, 3, 3)}, unfit)
    for file in (tmp_path / "missing.pth", tmp_path, damaged, cut, foreign, unfit):
        with pytest.raises(DetectorError, match=f"{file}.*download"):
            load_torch(file)
    before = set(tmp_path.iterdir())
    with pytest.raises(DetectorError):
        export_onnx(damaged, tmp_path / "out.onnx")
    assert set(tmp_path.iterdir()) == before


def test_missing_and_damaged_onnx_files_are_named(onnx_file: Path, tmp_path: Path) -> None:
    damaged, foreign, odd = (tmp_path / f"{name}.onnx" for name in ("damaged", "foreign", "odd"))
    damaged.write_bytes(onnx_file.read_bytes()[:100_000])
    model = onnx.load(onnx_file)
    del model.metadata_props[:]
    onnx.save(model, foreign)
    model.metadata_props.add(key="uncnn.retinaface.input", value='{"mean": [1], "std": [1], "order": "RGB"}')
    onnx.save(model, odd)
    for file in (tmp_path / "missing.onnx", damaged, foreign, odd):
        with pytest.raises(DetectorError, match=f"{file}.*export"):
            load_onnx(file, CPU)


def test_detecting_in_onnxruntime_never_imports_torch(onnx_file: Path, tmp_path: Path) -> None:
    shutil.copy(onnx_file, tmp_path / "model.onnx")
    script = (
        "import sys, pathlib, numpy\n"
        "from uncnn.plugins.detectors.retinaface import load_onnx\n"
        "detector = load_onnx(pathlib.Path('model.onnx'), ['CPUExecutionProvider'], 1)\n"
        "assert detector.detect(numpy.zeros((50, 50, 3), numpy.uint8)) == []\n"
        "assert not {'torch', 'torchvision', 'cv2', 'retinaface'} & set(sys.modules), 'too much was imported'\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=300)
