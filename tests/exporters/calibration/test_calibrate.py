"""Calibration: thresholds that accept what they say, on real faces, and cards that hold them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import chain, groupby, pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from uncnn.exporters.calibration.calibrate import (
    Calibration,
    CalibrationError,
    apply,
    calibrate,
    calibrate_embeddings,
    calibrate_faces,
    embed_faces,
)
from uncnn.exporters.calibration.faces import FaceFolder, LeftOut, PersonFace, look_with, read_faces
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.geometry import ARCFACE_112
from uncnn.plugins.recognisers.cards import CARD_FILE, Card, CardError, compare, read_card, sha256_of, write_card
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

CPU = ["CPUExecutionProvider"]
CARD = """\
name: some-net
family: any
role: surrogate
input: {height: 112, width: 112, order: RGB, mean: [127.5, 127.5, 127.5], std: [128, 128, 128]}
template: arcface-112
embedding: 3
metric: cosine
thresholds: {1e-2: 0.25}
calibrated_on: LFW
sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
licence: {name: MIT, use: permissive}
"""


@dataclass(frozen=True, slots=True)
class AlignedDetector:
    """Finds the face of a photo that was aligned before, as those of faces-144 were."""

    def detect(self, photo: Pixels) -> list[Face]:
        height, width = photo.shape[:2]
        return [Face((16, 16, width - 16.0, height - 16.0), tuple(map(tuple, ARCFACE_112 + 16)), 1.0)]


def card_with(**changes: object) -> Card:
    return Card.model_validate({**yaml.safe_load(CARD), **changes})


def strangers(people: int, photos: int, seed: int = 0) -> tuple[FaceFolder, np.ndarray]:
    """Return faces of which nothing is seen, and embeddings (N, 16) that tell people apart well."""
    generator = np.random.default_rng(seed)
    patch, names = np.zeros((1, 1, 3), np.uint8), np.repeat(np.arange(people), photos)
    faces = tuple(PersonFace(Path(f"{name}"), f"person {name}", patch, ARCFACE_112) for name in names)
    embeddings = np.repeat(generator.normal(size=(people, 16)), photos, 0) + 0.2 * generator.normal(
        size=(len(names), 16)
    )
    return FaceFolder("strangers", faces, ()), embeddings.astype(np.float32)


@pytest.fixture(scope="module")
def folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a flat folder of 60 people with two photos and 160 with one, named as in LFW."""
    files = sorted((shared_data / "faces-144").glob("*.jpg"))
    people = [list(photos) for _, photos in groupby(files, lambda path: path.stem[:-5])]
    several = [photos[:2] for photos in people if len(photos) > 1][:60]
    single = [photos for photos in people if len(photos) == 1][:160]
    folder = tmp_path_factory.mktemp("faces") / "press photos"
    folder.mkdir()
    for path in chain(*several, *single):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module", params=["mobileface-v2", "dlib-resnet"])
def recogniser(request) -> OnnxRecogniser:
    return OnnxRecogniser.load(EMBEDDED / request.param, CPU)


@pytest.fixture(scope="module")
def faces(folder: Path) -> FaceFolder:
    return read_faces([folder], look_with(AlignedDetector()))


@pytest.fixture(scope="module")
def calibration(faces: FaceFolder, recogniser: OnnxRecogniser) -> Calibration:
    return calibrate_faces(faces, recogniser)


def test_thresholds_accept_the_share_they_say(faces, recogniser, calibration):
    people = np.array([face.person for face in faces.faces])
    first, second = np.triu_indices(len(people), 1)
    different = people[first] != people[second]
    embeddings = embed_faces(faces, recogniser)
    values = compare(recogniser.card, embeddings[first[different]], embeddings[second[different]])
    card = apply(recogniser.card, calibration)
    assert calibration.impostor_pairs == len(values)
    assert list(calibration.thresholds) == [1e-2, 1e-3]
    for far in calibration.thresholds:
        accepted = sum(card.matches(value, far) for value in values)
        assert accepted / len(values) == pytest.approx(far, abs=2 / len(values))


def test_other_people_of_lfw_give_much_the_same(recogniser, calibration):
    for far, (low, high) in calibration.intervals.items():
        assert low <= calibration.thresholds[far] <= high
        assert high - low < 0.25 * calibration.thresholds[far]
        assert low * 0.95 < recogniser.card.thresholds[far] < high * 1.05
    assert calibration.accuracy.value == pytest.approx(recogniser.card.accuracy["lfw_6000_pairs"], abs=0.04)
    assert 0 <= calibration.accuracy.error < 0.03
    assert calibration.accuracy.pairs == 2 * 60


def test_what_could_not_be_measured_is_said(calibration):
    (note,) = calibration.notes
    assert f"of {calibration.impostor_pairs:,} pairs of different people it accepts 3.9, and 10 are needed; " in note
    assert note.endswith("449 people suffice")


def test_the_card_says_it(recogniser, calibration, tmp_path):
    card = apply(recogniser.card, calibration)
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card
    assert card.thresholds == calibration.thresholds
    assert card.intervals == calibration.intervals
    assert card.calibrated_on == (
        f"press photos: 220 people, 280 faces, {calibration.impostor_pairs:,} cross-identity pairs"
    )
    assert card.accuracy["press_photos_120_drawn_pairs"] == pytest.approx(calibration.accuracy.value, abs=1e-5)
    assert card.accuracy["lfw_6000_pairs"] == recogniser.card.accuracy["lfw_6000_pairs"]
    low, high = card.intervals[1e-2]
    assert f"intervals:\n  1e-2: [{low}, {high}]\n  1e-3:" in (tmp_path / CARD_FILE).read_text()


def test_a_folder_in_one_call(folder, recogniser, calibration):
    told: list[tuple[int, int]] = []
    again = calibrate(
        folder, recogniser, AlignedDetector(), name="ours", report=lambda done, total: told.append((done, total))
    )
    assert again.thresholds == calibration.thresholds
    assert again.intervals == calibration.intervals
    assert again.data == "ours"
    assert told[-1] == (560, 560)
    assert all(one[0] < other[0] for one, other in pairwise(told))


def model(folder: Path, name: str, *operators: tuple[str, str]) -> OnnxRecogniser:
    """Return a recogniser of the mean colour of a face, (N, 3), each of `operators` with a constant after it."""
    nodes = [helper.make_node("ReduceMean", ["input"], ["0"], axes=[2, 3], keepdims=0)]
    constants = []
    for number, (operator, value) in enumerate(operators, 1):
        constants.append(numpy_helper.from_array(np.array(float(value), np.float32), f"c{number}"))
        nodes.append(helper.make_node(operator, [str(number - 1), f"c{number}"], [str(number)]))
    nodes.append(helper.make_node("Identity", [str(len(operators))], ["embedding"]))
    shapes = [("input", ["N", 3, 112, 112]), ("embedding", ["N", 3])]
    ends = [[helper.make_tensor_value_info(end, TensorProto.FLOAT, shape)] for end, shape in shapes]
    graph = helper.make_graph(nodes, name, *ends, constants)
    (folder / name).mkdir()
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / name / "model.onnx")
    write_card(card_with(name=name, sha256=sha256_of(folder / name / "model.onnx")), folder / name)
    return OnnxRecogniser.load(folder / name, CPU)


def test_a_recogniser_that_gives_no_numbers(faces, tmp_path):
    first = faces.faces[0].file
    complaint = f"{first}: the embedding of its face is zero or not finite: the model is damaged, or its card's input"
    for name, operators in {
        "infinite": [("Div", "0")],
        "nothing": [("Mul", "0")],
        "not-a-number": [("Mul", "0"), ("Div", "0")],
    }.items():
        with pytest.raises(CalibrationError) as raised:
            calibrate_faces(faces, model(tmp_path, name, *operators))
        assert str(raised.value).startswith(f"{name}: {complaint}")


def test_a_recogniser_that_tells_nobody_apart(faces, tmp_path):
    constant = model(tmp_path, "constant", ("Mul", "1e-9"), ("Add", "1"))
    complaint = "constant: different people's faces have the same embedding at a false accept rate of 1e-2: the model"
    with pytest.raises(CalibrationError, match=complaint):
        calibrate_faces(faces, constant)
    euclidean = OnnxRecogniser(constant.card.model_copy(update={"metric": "euclidean"}), constant.session)
    with pytest.raises(CalibrationError, match=complaint):
        calibrate_faces(faces, euclidean)


def test_too_few_faces_for_any_threshold():
    found = calibrate_embeddings(strangers(3, 4)[0], card_with(), strangers(3, 4)[1])
    assert (found.thresholds, found.intervals, found.accuracy) == ({}, {}, None)
    assert len(found.notes) == 4
    assert found.notes[-1] == "no accuracy: 10 people with several photos and 20 people in all are needed"
    with pytest.raises(
        CalibrationError, match=r"some-net: strangers: no threshold: no threshold at .* 46 people suffi"
    ):
        apply(card_with(), found)


def test_few_people_give_thresholds_without_intervals():
    faces, embeddings = strangers(15, 10)
    found = calibrate_embeddings(faces, card_with(), embeddings)
    assert list(found.thresholds) == [1e-2, 1e-3]  # 10.5 pairs
    assert found.intervals == {}
    assert found.notes[1] == "no confidence intervals: 15 people, and 20 are needed; add photos of others"
    assert apply(card_with(), found).intervals is None


def test_a_new_calibration_replaces_the_old_one():
    faces, embeddings = strangers(50, 2)
    old = apply(card_with(), calibrate_embeddings(*_args(strangers(200, 3, seed=1))))
    assert set(old.thresholds) == set(old.intervals) == {1e-2, 1e-3, 1e-4}
    new = apply(old, calibrate_embeddings(faces, card_with(), embeddings))
    assert set(new.thresholds) == set(new.intervals) == {1e-2}


def _args(drawn: tuple[FaceFolder, np.ndarray]) -> tuple[FaceFolder, Card, np.ndarray]:
    return drawn[0], card_with(), drawn[1]


def test_photos_left_out_are_told():
    faces, embeddings = strangers(50, 2)
    left = tuple(LeftOut(Path(f"{number}.jpg"), "no face found") for number in range(7))
    notes = calibrate_embeddings(FaceFolder("some", faces.faces, left), card_with(), embeddings).notes
    assert notes[-1] == "7 photos left out: no face found: 0.jpg, 1.jpg, 2.jpg, ..."


@pytest.mark.parametrize(
    ("intervals", "complaint"),
    [
        ("{1e-2: [0.26, 0.3]}", "that of 1e-2 must hold the threshold at that rate, lower end first; correct it"),
        ("{1e-2: [0.3, 0.2]}", "that of 1e-2 must hold"),
        ("{1e-3: [0.2, 0.3]}", "that of 1e-3 must hold"),
        ("{1e-2: [0.2]}", "intervals.1e-2.1: missing; add it"),
        ("{2: [0.2, 0.3]}", "Input should be less than 1"),
        ("{1e-2: [.nan, 0.3]}", "Input should be a finite number"),
    ],
)
def test_a_card_with_wrong_intervals_is_refused(tmp_path, intervals, complaint):
    (tmp_path / CARD_FILE).write_text(f"{CARD}intervals: {intervals}\n")
    with pytest.raises(CardError, match=r"card\.yaml: intervals") as raised:
        read_card(tmp_path)
    assert complaint in str(raised.value)


def test_a_card_without_intervals_stays_without(tmp_path):
    (tmp_path / CARD_FILE).write_text(CARD)
    card = read_card(tmp_path)
    write_card(card, tmp_path)
    assert card.intervals is None
    assert "intervals" not in (tmp_path / CARD_FILE).read_text()
