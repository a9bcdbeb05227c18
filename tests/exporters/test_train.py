"""The recipes of the embedded pack, in small: teachers, students, the detector, and what is shipped of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional

from uncnn.exporters.store import EMBEDDED, OWN_DETECTOR
from uncnn.exporters.train import detector, scenes, students
from uncnn.exporters.train.augment import Augmentation, degrade, relight
from uncnn.exporters.train.descent import spreads
from uncnn.exporters.train.faces import TrainingError, held_out, person_of, read_faces
from uncnn.exporters.train.networks import STUDENTS, WIDE, Student
from uncnn.exporters.train.push import push
from uncnn.exporters.train.ship import ship_detector
from uncnn.exporters.train.teachers import Meeting, Teacher, _cuts, make_teacher
from uncnn.plugins.cards import TEMPLATES, check_model, read_card
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace, load_network
from uncnn.plugins.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recogniser import load_recogniser

pytestmark = pytest.mark.slow

CPU = ["CPUExecutionProvider"]


@pytest.fixture(scope="module")
def few_faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for file in sorted((shared_data / "faces-144").glob("*.jpg"))[:120]:
        (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="module")
def teach() -> Callable[[Student], Teacher]:
    def make(student: Student) -> Teacher:
        return make_teacher(load_recogniser(EMBEDDED / student.teacher), student.meetings)

    return make


@pytest.fixture(scope="module")
def views(few_faces: Path) -> torch.Tensor:
    faces, _ = read_faces(few_faces, training=True)
    return torch.from_numpy(faces[:8, 8:-8, 8:-8]).permute(0, 3, 1, 2).float()


def test_nobody_is_on_both_sides(few_faces: Path) -> None:
    _, train = read_faces(few_faces, training=True)
    _, kept = read_faces(few_faces, training=False)
    assert not set(train) & set(kept)
    assert len(train) + len(kept) == 120
    assert all(held_out(person) for person in kept)
    assert person_of(Path("Anna_Maria_Smith_0012.jpg")) == "Anna_Maria_Smith"


def test_nobody_of_the_benchmark_folders_is_trained_on(shared_data: Path) -> None:
    trained = {person_of(file) for file in (shared_data / "faces-144").glob("*.jpg")}
    measured = {path.name for path in (shared_data / "lfw" / "identities").iterdir()}
    measured |= {person_of(file) for file in (shared_data / "lfw" / "distractors").rglob("*.jpg")}
    assert len(measured) > 1000
    assert not trained & measured


def test_judges_do_not_teach() -> None:
    assert not {"dlib-resnet", "openvino-0095"} & {student.teacher for student in STUDENTS}


def test_views_are_drawn_again_the_same(few_faces: Path) -> None:
    faces, _ = read_faces(few_faces, training=True)
    pixels = torch.from_numpy(faces[:4]).permute(0, 3, 1, 2)
    first, second, other = (Augmentation().views(pixels, pixels.flip(0), np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.shape == (4, 3, 128, 128)
    assert first.dtype == torch.uint8
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_an_augmentation_of_nothing_is_the_face_itself() -> None:
    rows = torch.linspace(0, 255, 144).view(1, 1, 144, 1).expand(2, 3, 144, 144).to(torch.uint8)
    off = Augmentation(0, 0, 0, mixed=0, occluded=0, resampled=0, compressed=0, noisy=0, grey=0)
    assert torch.equal(degrade(rows.float(), np.random.default_rng(0), 0, 0, 0), rows)
    moved = off._similarities(2, np.random.default_rng(0))
    assert np.allclose(moved[:, :, :2], np.eye(2))
    assert np.allclose(moved[:, :, 2], -8)  # 144 to 128: eight pixels less on every side


def test_light_keeps_shape_and_changes_pixels() -> None:
    pixels = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    lit = relight(pixels, np.random.default_rng(0), grey=1.0)
    assert lit.shape == pixels.shape
    assert bool(torch.isfinite(lit).all())
    assert (lit - pixels).abs().mean() > 1


@pytest.mark.parametrize("student", STUDENTS, ids=lambda each: each.name)
def test_a_teacher_says_what_it_gives_at_each_cut(
    student: Student, teach: Callable[[Student], Teacher], views: torch.Tensor
) -> None:
    teacher = teach(student)
    told = teacher(views)
    shapes = [tuple(each.shape[1:]) for each in told]
    assert shapes[:-1] == [
        (place.channels, place.side, place.side) for place in student.meetings for _ in range(place.count)
    ]
    assert shapes[-1] == (student.embedding,)
    expected = teacher.recogniser.outputs(views[:, :, 8:-8, 8:-8])
    assert (told[-1] - expected).abs().max() < 1e-4
    assert all(not torch.equal(first, second) for first, second in pairwise(told))
    network = student.make().eval()
    for part, told_in, told_out in zip(network, [students.prepare(views), *told], told, strict=False):
        assert part(told_in).shape == told_out.shape


def test_a_teacher_without_such_a_cut_is_refused() -> None:
    recogniser = load_recogniser(EMBEDDED / "mobilefacenet-foamliu")
    with pytest.raises(TrainingError, match=r"foamliu cannot teach: it has 0 cuts of \(99, 7, 7\), not 1"):
        make_teacher(recogniser, [Meeting(99, 7, 1)])
    with pytest.raises(TrainingError, match="no torch graph"):
        make_teacher(replace(recogniser, network=torch.nn.Identity()), WIDE)
    reads_bgr = recogniser.card.model_copy(update={"input": recogniser.card.input.model_copy(update={"order": "BGR"})})
    with pytest.raises(TrainingError, match="it reads BGR"):
        make_teacher(replace(recogniser, card=reads_bgr), WIDE)


def test_a_cut_is_where_all_passes() -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = (torch.nn.Conv2d(3, 3, 1) for _ in range(3))

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            features = self.first(pictures)
            return features + self.third(self.second(features))

    graph = torch.fx.symbolic_trace(Network())
    ShapeProp(graph).propagate(torch.zeros(2, 3, 4, 4))
    assert [node.name for node in _cuts(graph.graph)] == ["first", "add"]


def test_a_push_moves_what_the_teacher_says_more_than_noise_does(
    teach: Callable[[Student], Teacher], views: torch.Tensor
) -> None:
    def embed(pictures: torch.Tensor) -> torch.Tensor:
        return functional.normalize(teacher(pictures)[-1], dim=1)

    teacher = teach(STUDENTS[1])
    pushed = push(views, lambda pushed: teacher(pushed)[-1], np.random.default_rng(0))
    moved = (pushed - views).abs()
    assert 1 < moved.amax(dim=(1, 2, 3)).min() <= moved.max() <= 19  # a size, and the random start's share of it
    noise = (torch.rand(views.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).sign() * 8
    own, by_push, by_noise = embed(views), embed(pushed), embed((views + noise).clamp(0, 255))
    assert (own * (by_noise - by_push)).sum(1)[::2].min() > 0.05  # those go away from themselves
    assert (own.roll(1, 0) * (by_push - own)).sum(1)[1::2].mean() > 0.05  # those go toward another view


def test_a_folder_without_faces_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="name the folder of training faces"):
        read_faces(tmp_path, training=True)
    Image.new("RGB", (100, 100)).save(tmp_path / "Ann_Lee_0001.jpg")
    with pytest.raises(TrainingError, match="align it to 144 x 144"):
        read_faces(tmp_path, training=not held_out("Ann_Lee"))


@pytest.mark.parametrize("student", STUDENTS, ids=lambda each: each.name)
def test_a_student_learns(student: Student, teach: Callable[[Student], Teacher], few_faces: Path) -> None:
    torch.manual_seed(0)
    faces, _ = read_faces(few_faces, training=True)
    reports: list[dict[str, float]] = []
    course = students.Course(samples=150 * 4, batch=4, apart=0.7)
    device = torch.device("cpu")
    network = students.teach(
        student.make(), teach(student), faces, course, device, report=lambda _n, losses: reports.append(dict(losses))
    )
    assert sum(part.numel() for part in network.parameters()) * 4 <= 4e6
    assert not network.training
    first, second, joined = reports
    assert second["features"] < first["features"]
    assert second["embeddings"] < first["embeddings"] < 1.2
    assert joined["embeddings"] > second["embeddings"]  # each part now answers for those before it


def test_parts_learn_from_the_teacher_alone_until_they_are_joined(
    teach: Callable[[Student], Teacher], views: torch.Tensor
) -> None:
    network, told = STUDENTS[1].make().eval(), teach(STUDENTS[1])(views)
    typical = spreads(told)

    def wrong(apart: bool) -> float:
        losses = students._losses(network, told, students.prepare(views), typical, apart)
        return float(losses["embeddings"].detach())

    before = {apart: wrong(apart) for apart in (True, False)}
    with torch.no_grad():
        for weights in network[0].parameters():
            weights.mul_(3).add_(0.5)
    assert wrong(apart=True) == before[True]
    assert abs(wrong(apart=False) - before[False]) > 1e-4


def test_the_detector_learns_and_is_shipped_whole(
    shared_data: Path, shared_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, form = load_network(shared_models / "reference" / "retinaface-mobilenet0.25.pth")
    assert isinstance(teacher, MobileNetRetinaFace)
    photos = [Image.open(file).convert("RGB") for file in sorted((shared_data / "widerface").rglob("*.jpg"))[:4]]
    faces = np.asarray(Image.open(next((shared_data / "faces-144").glob("*.jpg"))))[None]
    reports: list[dict[str, float]] = []
    drawn = scenes.Scenes(photos, photos, faces)
    monkeypatch.setattr(detector, "PIXELS", 4 * 256 * 256)
    course = detector.Course(samples=4 * 100)
    network = detector.teach(
        teacher, form, drawn, course, torch.device("cpu"), report=lambda _n, losses: reports.append(dict(losses))
    )
    assert reports[-1]["faces"] < reports[0]["faces"]
    assert reports[-1]["features"] < reports[0]["features"]
    file = ship_detector(network, tmp_path)
    assert file.name == OWN_DETECTOR
    assert file.stat().st_size <= 2e6
    loaded, _ = load_network(file)
    assert {value.dtype for value in load_file(file).values()} <= {torch.float16, torch.int64}
    images = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(loaded(images), network(images), strict=True):
            assert (ours - theirs).abs().max() < 0.05


def test_half_of_the_measured_photos_are_kept_from_training(shared_data: Path) -> None:
    for name in ("widerface", "noface"):
        files = list((shared_data / name).rglob("*.jpg"))
        share = sum(scenes.held_out(file) for file in files) / len(files)
        assert 0.4 < share < 0.6


def run_recipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uncnn.exporters.train", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_recipes_name_what_is_missing(shared_models: Path, tmp_path: Path) -> None:
    models = str(shared_models / "reference")
    ran = run_recipe("--models", models, "student", "uncnn-mobilenet", "--data", str(tmp_path), "-o", str(tmp_path))
    assert ran.returncode == 1
    assert "name the folder of training faces" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_course_of_nothing_is_refused(tmp_path: Path) -> None:
    ran = run_recipe("student", "uncnn-mobilenet", "--data", str(tmp_path), "-o", str(tmp_path), "--samples", "31")
    assert ran.returncode == 2
    assert "--samples: '31' is no course: give a number from 1000 on" in ran.stderr


def test_a_recipe_runs_to_a_model_folder(few_faces: Path, shared_models: Path, tmp_path: Path) -> None:
    (tmp_path / "faces-144").symlink_to(few_faces)
    where = ("--data", str(tmp_path), "-o", str(tmp_path / "pack"), "--samples", "1280")
    ran = run_recipe("--models", str(shared_models / "reference"), "student", "uncnn-mobilenet", *where)
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "pack" / "uncnn-mobilenet"
    assert str(folder) in ran.stdout
    assert "not calibrated" in ran.stdout
    assert load_file(folder.with_suffix(".safetensors")), "to go on from"
    card = read_card(folder)
    check_model(folder, card)
    assert (card.role, card.embedding, card.thresholds) == ("surrogate", 256, {})
    assert card.parity is not None
    assert card.parity <= 1e-4
    asked = OnnxRecogniser.load(folder, CPU)
    face = np.asarray(Image.open(next(few_faces.glob("*.jpg"))).convert("RGB"))
    assert asked.embed(face, (np.array(TEMPLATES["arcface-112"]) + 16)[None]).shape == (1, 256)
