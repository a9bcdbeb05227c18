"""What the students learn from: views of faces, and what each teacher says of every view.

A lesson is drawn once and kept in a folder, so that several students learn from it and no teacher is asked twice.
Teachers are recognisers whose licence permits it. Judges do not teach, whatever their licence says: what a verdict
rests on must not have had a part in the attack.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from uncnn.exporters.train.augment import FACE_PX, MARGIN, VIEW_PX, Augmentation
from uncnn.exporters.train.push import push
from uncnn.plugins.api import UncnnError
from uncnn.plugins.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recogniser import Recogniser

TEACHERS = ("mobilefacenet-foamliu", "mobileface-v2", "esp-mfn")
"""Apache-2.0, MIT, MIT; all of them see the ArcFace-112 template."""

BATCH = 64
HELD_OUT = 10  # every tenth person is kept from training, to choose by

Views = npt.NDArray[np.uint8]
Targets = npt.NDArray[np.float16]


class TrainingError(UncnnError):
    """Something that training needs is missing or unfit."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Views, (N, 3, 128, 128) uint8 RGB, and each teacher's unit embeddings of them, (N, D) float16; both on disk."""

    views: Views
    targets: dict[str, Targets]
    ready: int  # how many rows are written; more may follow


def person_of(file: Path) -> str:
    """Return the person of a file named as LFW names them, `Given_Name_0001.jpg`."""
    return file.stem.rpartition("_")[0]


def held_out(person: str) -> bool:
    """Return whether a person is kept from training; the same people every time."""
    return int(hashlib.sha256(person.encode()).hexdigest(), 16) % HELD_OUT == 0


def read_faces(folder: Path, training: bool) -> tuple[Views, list[str]]:
    """Return aligned faces, (N, 144, 144, 3) uint8 RGB, and their people: those to train on, or those kept from it.

    Raises:
        TrainingError: the folder holds no such face, or one of another size.
    """
    files = [file for file in sorted(folder.glob("*.jpg")) if held_out(person_of(file)) is not training]
    if not files:
        raise TrainingError(f"{folder}: no aligned face (Given_Name_0001.jpg) in it; name the folder of training faces")
    faces = []
    for file in files:
        with Image.open(file) as image:
            if image.size != (FACE_PX, FACE_PX):
                raise TrainingError(f"{file}: it is {image.width} x {image.height}; align it to {FACE_PX} x {FACE_PX}")
            faces.append(np.asarray(image.convert("RGB")))
    return np.stack(faces), [person_of(file) for file in files]


def ask(teacher: OnnxRecogniser, views: Views) -> npt.NDArray[np.float32]:
    """Return a teacher's unit embeddings, (N, D), of views (N, 3, 128, 128)."""
    form = teacher.card.input
    crops = views[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.float32)
    crops = crops[:, ::-1] if form.order == "BGR" else crops
    mean, std = (np.array(value, np.float32).reshape(1, 3, 1, 1) for value in (form.mean, form.std))
    name = teacher.session.get_inputs()[0].name
    embeddings = teacher.session.run(None, {name: np.ascontiguousarray((crops - mean) / std)})[0]
    unit: npt.NDArray[np.float32] = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return unit


def write_lessons(
    faces: Views,
    teachers: Sequence[OnnxRecogniser],
    folder: Path,
    number: int,
    augmentation: Augmentation,
    pushed: Sequence[Recogniser] = (),
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Draw `number` views of `faces` (N, 144, 144, 3), ask every teacher about each, and keep both in `folder`.

    With `pushed`, teachers in torch, every second batch is pushed along the gradient of one of them (`push`). Students
    may read what is there while the rest is written. A folder that was begun is gone on with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    begun = (folder / "ready.json").is_file()
    views, targets = _open(folder, number, {each.card.name: each.card.embedding for each in teachers}, not begun)
    pixels = torch.from_numpy(faces).permute(0, 3, 1, 2)
    done = _ready(folder)
    while done < number:
        random = np.random.default_rng((seed, done))
        chosen = _turn(len(faces), done, min(BATCH, number - done), seed)
        others = pixels[random.integers(0, len(faces), len(chosen))]
        drawn = _drawn(augmentation.views(pixels[chosen], others, random), pushed, done // BATCH, random)
        rows = slice(done, done + len(chosen))
        views[rows] = drawn
        for teacher in teachers:
            targets[teacher.card.name][rows] = ask(teacher, drawn)
        done += len(chosen)
        _mark(folder, done)
        if report:
            report(done, number)


def _drawn(views: Tensor, pushed: Sequence[Recogniser], batch: int, random: np.random.Generator) -> Views:
    """Return the views of a batch, pushed where it is its turn."""
    if pushed and batch % 2:
        views = push(views, pushed[batch // 2 % len(pushed)], random)
    return views.numpy()


def read_lessons(folder: Path) -> Lessons:
    """Return what is written in `folder`.

    Raises:
        TrainingError: nothing is.
    """
    ready = _ready(folder)
    if not ready:
        raise TrainingError(f"{folder}: no lessons in it; write them first: python -m uncnn.exporters.train lessons")
    targets = {file.stem.removeprefix("teacher-"): _array(file, "r") for file in sorted(folder.glob("teacher-*.npy"))}
    return Lessons(_array(folder / "views.npy", "r"), targets, ready)


def _turn(faces: int, done: int, number: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the faces of rows `done` onwards: each once in an order of its own, then all again in another."""
    rounds, place = np.divmod(np.arange(done, done + number), faces)
    orders = {each: np.random.default_rng((seed, 1, int(each))).permutation(faces) for each in np.unique(rounds)}
    return np.array([orders[each][index] for each, index in zip(rounds, place, strict=True)], np.int64)


def _open(folder: Path, number: int, lengths: dict[str, int], new: bool) -> tuple[Views, dict[str, Targets]]:
    mode = "w+" if new else "r+"
    views = _array(folder / "views.npy", mode, np.uint8, (number, 3, VIEW_PX, VIEW_PX))
    targets = {
        name: _array(folder / f"teacher-{name}.npy", mode, np.float16, (number, length))
        for name, length in lengths.items()
    }
    return views, targets


def _array(file: Path, mode: str, kind: type = np.uint8, shape: tuple[int, ...] = ()) -> np.ndarray:
    if mode == "w+":
        return np.lib.format.open_memmap(file, mode="w+", dtype=kind, shape=shape)
    return np.lib.format.open_memmap(file, mode=mode)


def _ready(folder: Path) -> int:
    file = folder / "ready.json"
    return int(json.loads(file.read_text())["ready"]) if file.is_file() else 0


def _mark(folder: Path, done: int) -> None:
    temporary = folder / "ready.json.tmp"
    temporary.write_text(json.dumps({"ready": done}))
    temporary.replace(folder / "ready.json")
