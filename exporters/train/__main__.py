"""Trains the detector that comes with uncnn: `python -m uncnn.exporters.train --data ../shared/data -o pack`.

Its teacher is read from `--models`. With `--harden FOLDER`, the recogniser of that folder is made robust instead; with
`--generator`, the generator of `onepass` is taught against the recognisers that come with uncnn as surrogates. One core
is used. `--device cuda` trains on a GPU. README.md beside this file says what came of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.exporters.train import detector, generator, robust
from uncnn.exporters.train.faces import TrainingError, read_faces
from uncnn.exporters.train.scenes import read_scenes
from uncnn.exporters.train.ship import ship_detector, ship_generator, ship_recogniser
from uncnn.plugins.api import UncnnError
from uncnn.plugins.detectors.retinaface_forward import InputFormat
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace, load_network
from uncnn.plugins.recognisers.cards import read_card
from uncnn.plugins.recognisers.sessions import known_device
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

FACES = "faces-144"
FEWEST = 1000  # samples of a course
TEACHING_DETECTOR = "retinaface-mobilenet0.25.pth"


def main(arguments: list[str] | None = None) -> None:
    """Run the recipe; an error that a person can fix is one line."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    try:
        if options.generator:
            _generator(options)
        elif options.harden:
            _recogniser(options)
        else:
            _detector(options)
    except UncnnError as error:
        sys.exit(f"uncnn.exporters.train: {error}")


def _detector(options: argparse.Namespace) -> None:
    (teacher, form), start = _retinaface(options.models / TEACHING_DETECTOR), None
    course = detector.Course()
    if options.start:
        course, start = detector.FURTHER, _retinaface(options.start)[0].requires_grad_(True)
    course = replace(course, samples=options.samples or course.samples)
    faces, _ = read_faces(options.data / FACES, training=True)
    scenes = read_scenes(options.data, faces)
    device, progress = torch.device(options.device), _Progress(course.samples)
    network = detector.teach(teacher, form, scenes, course, device, options.seed, progress, start)
    print(ship_detector(network, options.output))


def _recogniser(options: argparse.Namespace) -> None:
    teacher = load_recogniser(options.harden, options.device)
    start = load_recogniser(options.start or options.harden, options.device)
    course = robust.Course(options.epsilon, options.passes)
    course = replace(course, samples=options.samples or course.samples, rate=options.rate or course.rate)
    faces, _ = read_faces(options.data / FACES, training=True)
    network = robust.harden(teacher, start, faces, course, options.seed, _Progress(course.samples))
    print(ship_recogniser(network, teacher, options.name, course.epsilon_255, options.output))


def _generator(options: argparse.Namespace) -> None:
    surrogates = [
        load_recogniser(card.parent, options.device)
        for card in sorted(EMBEDDED.glob("*/card.yaml"))
        if read_card(card.parent).role == "surrogate"
    ]
    course = generator.Course()
    course = replace(course, samples=options.samples or course.samples, rate=options.rate or course.rate)
    faces, people = read_faces(options.data / FACES, training=True)
    network = generator.teach(surrogates, faces, people, course, options.seed, _Progress(course.samples))
    print(ship_generator(network, surrogates, course.samples, options.seed, options.output))


def _retinaface(weights: Path) -> tuple[MobileNetRetinaFace, InputFormat]:
    network, form = load_network(weights)
    if not isinstance(network, MobileNetRetinaFace):
        raise TrainingError(f"{weights}: it is no RetinaFace with a MobileNet-0.25 body")
    return network, form


class _Progress:
    """Prints a line now and then: how far, how long, and the loss."""

    def __init__(self, total: int) -> None:
        self.total, self.start, self.next = total, time.monotonic(), 0.0

    def __call__(self, done: int, losses: dict[str, float]) -> None:
        """Say that `done` are done, and what is still wrong."""
        elapsed = time.monotonic() - self.start
        if elapsed < self.next:
            return
        self.next = elapsed + 15
        wrong = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
        print(f"{done} of {self.total} crops, {elapsed:.0f} s, {wrong}", flush=True)


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
    parser.add_argument("--models", type=Path, default=Path("../shared/models/reference"), help="folder of its teacher")
    parser.add_argument("--device", type=known_device, default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    folders = f"{FACES}, widerface, noface, groups and people"
    parser.add_argument("--samples", type=_samples, help="how many crops, instead of the usual course")
    start = "go on from an earlier course: its weights, .safetensors, or with --harden its folder"
    parser.add_argument("--start", type=Path, help=start)
    parser.add_argument("--harden", type=Path, metavar="FOLDER", help="make the recogniser of this folder robust")
    parser.add_argument("--epsilon", type=float, default=2.0, help="to changes of so many grey levels")
    parser.add_argument("--passes", type=int, choices=range(1, 11), default=1, help="found in so many steps")
    parser.add_argument("--generator", action="store_true", help="teach the generator of the attack onepass")
    parser.add_argument("--rate", type=float, help="of learning, instead of the usual one; not of the detector")
    parser.add_argument("--name", default="uncnn-robust", help="what to call it")
    parser.add_argument("--data", type=Path, required=True, help=f"the folder that has {folders}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder of models to write to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
