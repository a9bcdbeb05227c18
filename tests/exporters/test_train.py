"""The recipes of the embedded pack, in small: lessons, students, the detector, and what is shipped of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional

from uncnn.exporters.train import detector, scenes, students
from uncnn.exporters.train.augment import Augmentation, degrade, relight
from uncnn.exporters.train.lessons import (
    TEACHERS,
    TrainingError,
    ask,
    held_out,
    person_of,
    read_faces,
    read_lessons,
    write_lessons,
)
from uncnn.exporters.train.networks import STUDENTS
from uncnn.exporters.train.push import push
from uncnn.exporters.train.ship import DETECTOR_FILE, ship_detector
from uncnn.plugins.cards import TEMPLATES, check_model, read_card
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace, load_network
from uncnn.plugins.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recogniser import load_recogniser

CPU = ["CPUExecutionProvider"]


@pytest.fixture(scope="module")
def few_faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for file in sorted((shared_data / "faces-144").glob("*.jpg"))[:120]:
        (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="module")
def teachers(shared_models: Path) -> list[OnnxRecogniser]:
    return [OnnxRecogniser.load(shared_models / "reference" / name, CPU) for name in TEACHERS[:2]]


@pytest.fixture(scope="module")
def lessons(few_faces: Path, teachers: Sequence[OnnxRecogniser], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lessons")
    faces, _ = read_faces(few_faces, training=True)
    write_lessons(faces, teachers, folder, 192, Augmentation())
    return folder


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
    assert not {"dlib-resnet", "openvino-0095"} & set(TEACHERS)


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


def test_lessons_say_what_the_teachers_say(lessons: Path, teachers: Sequence[OnnxRecogniser]) -> None:
    read = read_lessons(lessons)
    assert read.ready == 192
    for teacher in teachers:
        told = ask(teacher, read.views[5:9])
        assert np.allclose(np.linalg.norm(told, axis=1), 1, atol=1e-5)
        assert np.abs(told - read.targets[teacher.card.name][5:9]).max() < 1e-3


def test_lessons_go_on_where_they_were_left(
    few_faces: Path, teachers: Sequence[OnnxRecogniser], tmp_path: Path
) -> None:
    faces, _ = read_faces(few_faces, training=True)

    class Stop(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done == 64:
            raise Stop

    with pytest.raises(Stop):
        write_lessons(faces, teachers[1:], tmp_path / "begun", 128, Augmentation(), report=stop)
    assert read_lessons(tmp_path / "begun").ready == 64
    write_lessons(faces, teachers[1:], tmp_path / "begun", 128, Augmentation())
    write_lessons(faces, teachers[1:], tmp_path / "whole", 128, Augmentation())
    assert np.array_equal(read_lessons(tmp_path / "begun").views, read_lessons(tmp_path / "whole").views)


def test_a_push_moves_what_the_teacher_says_more_than_noise_does(few_faces: Path, shared_models: Path) -> None:
    teacher = load_recogniser(shared_models / "reference" / TEACHERS[1])
    faces, _ = read_faces(few_faces, training=True)
    views = torch.from_numpy(faces[:8, 8:-8, 8:-8]).permute(0, 3, 1, 2).contiguous()
    pushed = push(views, teacher, np.random.default_rng(0))
    assert pushed.dtype == torch.uint8
    moved = (pushed.float() - views.float()).abs()
    assert 1 < moved.amax(dim=(1, 2, 3)).min() <= moved.max() <= 19  # a size, and the random start's share of it
    noise = (torch.rand(views.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).sign() * 8
    asked = OnnxRecogniser.load(shared_models / "reference" / TEACHERS[1], CPU)
    own, by_push, by_noise = (
        ask(asked, each.clamp(0, 255).to(torch.uint8).numpy())
        for each in (views.float(), pushed.float(), views.float() + noise)
    )
    assert (own * (by_noise - by_push)).sum(1)[::2].min() > 0.05  # those go away from themselves
    other = np.roll(own, 1, axis=0)
    assert (other * (by_push - own)).sum(1)[1::2].mean() > 0.05  # those go toward another view


def test_every_second_batch_is_pushed(
    few_faces: Path, teachers: Sequence[OnnxRecogniser], shared_models: Path, tmp_path: Path
) -> None:
    faces, _ = read_faces(few_faces, training=True)
    pushing = [load_recogniser(shared_models / "reference" / TEACHERS[1])]
    write_lessons(faces, teachers[1:], tmp_path / "pushed", 128, Augmentation(), pushing)
    write_lessons(faces, teachers[1:], tmp_path / "plain", 128, Augmentation())
    pushed, plain = (read_lessons(tmp_path / name).views for name in ("pushed", "plain"))
    assert np.array_equal(pushed[:64], plain[:64])
    assert not np.array_equal(pushed[64:], plain[64:])


def test_a_folder_without_lessons_or_faces_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="write them first"):
        read_lessons(tmp_path)
    with pytest.raises(TrainingError, match="name the folder of training faces"):
        read_faces(tmp_path, training=True)
    Image.new("RGB", (100, 100)).save(tmp_path / "Ann_Lee_0001.jpg")
    with pytest.raises(TrainingError, match="align it to 144 x 144"):
        read_faces(tmp_path, training=not held_out("Ann_Lee"))


@pytest.mark.parametrize("student", STUDENTS, ids=lambda each: each.name)
def test_a_student_learns(lessons: Path, student: students.Student) -> None:
    torch.manual_seed(0)
    losses: list[float] = []
    course = students.Course(samples=50 * 16, batch=16, nudge=2.0 if student is STUDENTS[0] else 0.0)
    network = students.teach(
        student, lambda: read_lessons(lessons), course, torch.device("cpu"), report=lambda _n, loss: losses.append(loss)
    )
    assert sum(part.numel() for part in network.parameters()) * 4 <= 4e6
    seen = read_lessons(lessons)
    views = torch.from_numpy(np.array(seen.views[:64])).float()
    with torch.no_grad():
        network.train()  # statistics of the batch: the average of so short a course is not yet one
        found = functional.normalize(network(students.crop_views(views, student)), dim=1)
    rows = np.arange(64)
    told = functional.normalize(students._side_by_side(seen, rows) @ students.basis_of(seen), dim=1)
    assert (found * told).sum(1).mean() > (found * told.roll(1, 0)).sum(1).mean() + 0.05
    assert losses[-1] < 1.0


def test_a_target_has_the_mean_of_the_teachers_cosines(lessons: Path) -> None:
    seen = read_lessons(lessons)
    together = students._side_by_side(seen, np.arange(20)).numpy()
    apart = [target[:20].astype(np.float32) for target in seen.targets.values()]
    assert np.allclose(together @ together.T, np.mean([part @ part.T for part in apart], axis=0), atol=2e-3)


def test_what_a_student_sees_is_its_template(lessons: Path) -> None:
    views = torch.zeros(1, 3, 128, 128)
    x, y = (round(value) + 8 for value in TEMPLATES["arcface-112"][0])
    views[0, :, y - 1 : y + 2, x - 1 : x + 2] = 255  # a dot on the left eye
    for student in STUDENTS:
        seen = students.crop_views(views, student)[0, 0]
        row, column = np.unravel_index(int(seen.argmax()), seen.shape)
        assert abs(column - student.template[0][0]) <= 2
        assert abs(row - student.template[0][1]) <= 2


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
    assert file.name == DETECTOR_FILE
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


def test_the_recipes_name_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uncnn.exporters.train", "student", "uncnn-resnet"]
    ran = subprocess.run(
        [*command, "--lessons", str(tmp_path), "-o", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "write them first" in ran.stderr
    assert "Traceback" not in ran.stderr


def run_recipe(*arguments: str, of: Path) -> str:
    command = [sys.executable, "-m", "uncnn.exporters.train", "--models", str(of / "reference"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_recipes_run_from_lessons_to_a_model_folder(few_faces: Path, shared_models: Path, tmp_path: Path) -> None:
    lessons, pack = str(tmp_path / "lessons"), str(tmp_path / "pack")
    shown = run_recipe("lessons", "--faces", str(few_faces), "--lessons", lessons, "--number", "128", of=shared_models)
    assert "128" in shown
    assert read_lessons(tmp_path / "lessons").ready == 128
    assert set(read_lessons(tmp_path / "lessons").targets) == set(TEACHERS)
    learn = ("student", "uncnn-convnext", "--lessons", lessons, "-o", pack, "--samples", "1280")
    assert "uncnn-convnext" in run_recipe(*learn, of=shared_models)
    card = read_card(tmp_path / "pack" / "uncnn-convnext")
    check_model(tmp_path / "pack" / "uncnn-convnext", card)
    assert (card.role, card.embedding, card.thresholds) == ("surrogate", 256, {})
    assert card.parity is not None
    assert card.parity <= 1e-4
    asked = OnnxRecogniser.load(tmp_path / "pack" / "uncnn-convnext", CPU)
    face = np.asarray(Image.open(next(few_faces.glob("*.jpg"))).convert("RGB"))
    assert asked.embed(face, (np.array(TEMPLATES["arcface-112"]) + 16)[None]).shape == (1, 256)
