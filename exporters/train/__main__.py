"""Trains the embedded pack: `python -m uncnn.exporters.train student|detector`.

    python -m uncnn.exporters.train student uncnn-mobilenet --data ../shared/data -o pack
    python -m uncnn.exporters.train detector --data ../shared/data -o pack

Teachers are read from `--models`. One core is used; two commands may run side by side. `--device cuda` trains on a GPU.
README.md beside this file says what came of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from uncnn.exporters.train import detector, students
from uncnn.exporters.train.faces import TrainingError, read_faces
from uncnn.exporters.train.networks import STUDENTS
from uncnn.exporters.train.scenes import read_scenes
from uncnn.exporters.train.ship import calibrate_student, ship_detector, ship_student
from uncnn.exporters.train.teachers import make_teacher
from uncnn.plugins.api import UncnnError
from uncnn.plugins.detectors.retinaface_forward import InputFormat
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace, load_network, load_torch
from uncnn.plugins.recogniser import load_recogniser

FACES = "faces-144"
MEASURING = ("lfw/identities", "lfw/distractors")  # nobody of these is trained on
FEWEST = 1000  # samples of a course
TEACHING_DETECTOR = "retinaface-mobilenet0.25.pth"


def main(arguments: list[str] | None = None) -> None:
    """Run one recipe; an error that a person can mend is one line."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    try:
        options.recipe(options)
    except UncnnError as error:
        sys.exit(f"uncnn.exporters.train: {error}")


def _student(options: argparse.Namespace) -> None:
    student = next(each for each in STUDENTS if each.name == options.name)
    teacher = make_teacher(load_recogniser(options.models / student.teacher, options.device), student.meetings)
    faces, _ = read_faces(options.data / FACES, training=True)
    torch.manual_seed(options.seed)
    torch.set_flush_denormal(True)  # gradients near zero are slow otherwise
    network, course = student.make(), students.FURTHER if options.start else students.Course()
    if options.start:
        network.load_state_dict(load_file(options.start))
    course = replace(course, samples=options.samples or course.samples)
    device, progress = torch.device(options.device), _Progress("views", course.samples)
    network = students.teach(network, teacher, faces, course, device, options.seed, progress)
    folder = ship_student(student, network, options.output)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, options.output / f"{student.name}.safetensors")
    print(folder, flush=True)
    torch.set_flush_denormal(False)
    photos = [options.data / name for name in MEASURING]
    if not all(path.is_dir() for path in photos):
        print(f"not calibrated: {' or '.join(map(str, photos))} is missing")
        return
    card = calibrate_student(folder, photos, load_torch(options.models / TEACHING_DETECTOR))
    print(f"accuracy {card.accuracy}, thresholds {card.thresholds}")


def _detector(options: argparse.Namespace) -> None:
    (teacher, form), start = _retinaface(options.models / TEACHING_DETECTOR), None
    course = detector.Course()
    if options.start:
        course, start = detector.FURTHER, _retinaface(options.start)[0].requires_grad_(True)
    course = replace(course, samples=options.samples or course.samples)
    faces, _ = read_faces(options.data / FACES, training=True)
    scenes = read_scenes(options.data, faces)
    device, progress = torch.device(options.device), _Progress("crops", course.samples)
    network = detector.teach(teacher, form, scenes, course, device, options.seed, progress, start)
    print(ship_detector(network, options.output))


def _retinaface(weights: Path) -> tuple[MobileNetRetinaFace, InputFormat]:
    network, form = load_network(weights)
    if not isinstance(network, MobileNetRetinaFace):
        raise TrainingError(f"{weights}: it is no RetinaFace with a MobileNet-0.25 body")
    return network, form


class _Progress:
    """Prints a line now and then: how far, how long, and the loss."""

    def __init__(self, unit: str, total: int) -> None:
        self.unit, self.total, self.start, self.next = unit, total, time.monotonic(), 0.0

    def __call__(self, done: int, losses: dict[str, float]) -> None:
        """Say that `done` are done, and what is still wrong."""
        spent = time.monotonic() - self.start
        if spent < self.next:
            return
        self.next = spent + 15
        wrong = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
        print(f"{done} of {self.total} {self.unit}, {spent:.0f} s, {wrong}", flush=True)


def _samples(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no course: give a number from {FEWEST} on")
    return int(text)


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
    recipes = parser.add_subparsers(required=True, metavar="student|detector")
    student = recipes.add_parser("student", help="train a recogniser")
    student.add_argument("name", choices=[each.name for each in STUDENTS])
    student.set_defaults(recipe=_student)
    net = recipes.add_parser("detector", help="train RetinaFace-MobileNet-0.25")
    net.set_defaults(recipe=_detector)
    for recipe, folders in ((student, f"{FACES} and lfw"), (net, f"{FACES}, widerface, noface, groups and people")):
        recipe.add_argument("--samples", type=_samples, help="how many crops or views, instead of the usual course")
        recipe.add_argument("--start", type=Path, help="go on from these weights of an earlier course, .safetensors")
        recipe.add_argument("--data", type=Path, required=True, help=f"the folder that has {folders}")
        recipe.add_argument("-o", "--output", type=Path, required=True, help="the folder of models to write to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
