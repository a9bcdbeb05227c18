"""Trains the embedded pack: `python -m uncnn.exporters.train lessons|student|detector`.

    python -m uncnn.exporters.train lessons  --faces ../shared/data/faces-144 --lessons build/lessons
    python -m uncnn.exporters.train student uncnn-resnet --lessons build/lessons -o build/pack
    python -m uncnn.exporters.train detector --data ../shared/data -o build/pack

Teachers are looked for where models are (UNCNN_MODELS, the data directory). One core is used; two commands may run side
by side. `--device cuda` trains on a GPU. README.md beside this file says what came of it so far.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from uncnn.exporters.train import detector, students
from uncnn.exporters.train.augment import Augmentation
from uncnn.exporters.train.lessons import TEACHERS, TrainingError, read_faces, read_lessons, write_lessons
from uncnn.exporters.train.networks import STUDENTS
from uncnn.exporters.train.scenes import read_scenes
from uncnn.exporters.train.ship import ship_detector, ship_student
from uncnn.plugins.api import UncnnError
from uncnn.plugins.cards import check_model, read_card
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace, load_network
from uncnn.plugins.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recogniser import load_recogniser
from uncnn.plugins.sessions import make_session, providers_for

TEACHING_DETECTOR = "retinaface-mobilenet0.25.pth"


def main(arguments: list[str] | None = None) -> None:
    """Run one recipe; an error that a person can mend is one line."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    try:
        options.recipe(options)
    except UncnnError as error:
        sys.exit(f"uncnn.exporters.train: {error}")


def _lessons(options: argparse.Namespace) -> None:
    faces, _ = read_faces(options.faces, training=True)
    folders = [options.models / name for name in TEACHERS]
    teachers = [_teacher(folder, options.threads, options.device) for folder in folders]
    pushed = [] if options.plain else [load_recogniser(folder) for folder in folders]
    torch.set_flush_denormal(True)  # gradients near zero are slow otherwise
    progress = _Progress("views")
    write_lessons(faces, teachers, options.lessons, options.number, Augmentation(), pushed, options.seed, progress)


def _student(options: argparse.Namespace) -> None:
    student = next(each for each in STUDENTS if each.name == options.name)
    course = students.Course(samples=options.samples, nudge=options.nudge)
    device, progress = torch.device(options.device), _Progress("views", options.samples)
    network = students.teach(student, lambda: read_lessons(options.lessons), course, device, options.seed, progress)
    print(ship_student(student, network, options.output))


def _detector(options: argparse.Namespace) -> None:
    teacher, form = load_network(options.models / TEACHING_DETECTOR)
    if not isinstance(teacher, MobileNetRetinaFace):
        raise TrainingError(f"{options.models / TEACHING_DETECTOR}: the teacher is no RetinaFace-MobileNet-0.25")
    faces, _ = read_faces(options.data / "faces-144", training=True)
    scenes, course = read_scenes(options.data, faces), detector.Course(samples=options.samples)
    device, progress = torch.device(options.device), _Progress("crops", options.samples)
    print(ship_detector(detector.teach(teacher, form, scenes, course, device, options.seed, progress), options.output))


def _teacher(folder: Path, threads: int, device: str) -> OnnxRecogniser:
    card = read_card(folder)
    check_model(folder, card)
    return OnnxRecogniser(card, make_session(folder / "model.onnx", providers_for(device), threads))


class _Progress:
    """Prints a line now and then: how far, how long, and the loss."""

    def __init__(self, unit: str, total: int = 0) -> None:
        self.unit, self.total, self.start, self.next = unit, total, time.monotonic(), 0.0

    def __call__(self, done: int, more: object) -> None:
        """Say that `done` are done; `more` is the total, or what is still wrong."""
        spent = time.monotonic() - self.start
        if spent < self.next:
            return
        self.next = spent + 15
        loss = "" if isinstance(more, int) else f", {_figures(more)}"
        print(f"{done} of {self.total or more} {self.unit}, {spent:.0f} s{loss}", flush=True)


def _figures(more: object) -> str:
    named = more.items() if isinstance(more, dict) else [("loss", more)]
    return ", ".join(f"{name} {value:.4f}" for name, value in named)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    lines = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser(
        prog="python -m uncnn.exporters.train",
        description=lines[0],
        epilog="\n".join(lines[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", type=Path, default=Path("../shared/models/reference"), help="folder of teachers")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    recipes = parser.add_subparsers(required=True, metavar="lessons|student|detector")
    lessons = recipes.add_parser("lessons", help="draw views of faces and ask the teachers about them")
    lessons.add_argument("--faces", type=Path, required=True, help="aligned faces of 144 px, Given_Name_0001.jpg")
    lessons.add_argument("--lessons", type=Path, required=True, help="the folder to write to, 60 KB a view")
    lessons.add_argument("--number", type=int, default=100_000)
    lessons.add_argument("--plain", action="store_true", help="push no view along a teacher's gradient: twice as fast")
    lessons.set_defaults(recipe=_lessons)
    student = recipes.add_parser("student", help="train a recogniser on the lessons")
    student.add_argument("name", choices=[each.name for each in STUDENTS])
    student.add_argument("--lessons", type=Path, required=True)
    student.add_argument("--samples", type=int, default=students.Course().samples)
    student.add_argument("--nudge", type=float, default=students.Course().nudge, help="adversarial step, grey levels")
    student.set_defaults(recipe=_student)
    net = recipes.add_parser("detector", help="train RetinaFace-MobileNet-0.25")
    net.add_argument("--data", type=Path, required=True, help="has faces-144, widerface, noface, groups and people")
    net.add_argument("--samples", type=int, default=detector.Course().samples)
    net.set_defaults(recipe=_detector)
    for recipe in (student, net):
        recipe.add_argument("-o", "--output", type=Path, required=True, help="the folder of models to write to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
