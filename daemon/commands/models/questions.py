"""What a card needs and a model file does not say: given as options, or asked for, each with its explanation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from uncnn.daemon.settings import SettingsError
from uncnn.daemon.text import printable
from uncnn.exporters.registry import store
from uncnn.exporters.registry.catalog import read_catalog
from uncnn.exporters.registry.choice import ModelsError
from uncnn.plugins.recognisers.cards import TEMPLATES, Points, Triple, template_size


@dataclass(frozen=True, slots=True)
class Shape:
    """What a graph says of itself."""

    height: int
    width: int
    embedding: int
    normalises_inside: bool = False
    swaps_channels: bool = False  # between RGB and BGR, before its first filter
    wanted: tuple[float, float] | None = None  # mean and std that the file states and the graph leaves to us


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know: its option, what it means, the usual answer where there is one, and how it is read."""

    option: str
    meaning: str
    usual: str | None
    read: Callable[[str], Any]  # raises ValueError with the remedy
    sure: bool = False  # the usual answer stands where there is nobody to ask


def answers(questions: Sequence[Question], given: Mapping[str, str | None], yes: bool, ask: bool) -> dict[str, Any]:
    """Return the answer to each question by its option: as given, as usual (`yes`), or asked for where that can be.

    Raises:
        SettingsError: a given answer is none, or there is nobody to ask; then every missing one is named.
    """
    found: dict[str, Any] = {}
    missing: list[Question] = []
    for question in questions:
        text = given.get(question.option)
        if text is None and (yes or (question.sure and not ask)):
            text = question.usual
        if text is not None:
            try:
                found[question.option] = question.read(text)
            except ValueError as error:
                raise SettingsError(f"--{question.option} {text}: {error}") from error
        elif ask:
            found[question.option] = _ask(question)
        else:
            missing.append(question)
    if missing:
        options = "\n".join(f"  --{question.option}: {question.meaning}{_usually(question)}" for question in missing)
        rest = "" if yes else ", or --yes to use the usual values"
        raise SettingsError(f"there is no terminal to ask: give these options{rest}:\n{options}")
    return found


def _usually(question: Question) -> str:
    return "" if question.usual is None else f" (usually {question.usual})"


def _ask(question: Question) -> Any:
    """Ask until the answer can be read."""
    typer.echo(f"\n{question.option}: {question.meaning}")
    while True:
        text = typer.prompt(question.option, default=question.usual, type=str)
        try:
            return question.read(text)
        except ValueError as error:
            typer.echo(f"{text}: {error}")


def about(shape: Shape, file: Path, data: Path) -> list[Question]:
    """Return what has to be known of a recogniser besides its shape; `file` gives it its usual name."""

    def name(text: str) -> str:
        try:
            return free_name(data, text)
        except ModelsError as error:
            raise ValueError(str(error)) from error

    usual = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).lstrip("._-") or "recogniser"
    mean, std = shape.wanted or ((0.0, 1.0) if shape.normalises_inside else (127.5, 127.5))
    inside = "; this graph has its own inside" if shape.normalises_inside else ""
    inside = "; the file says so" if shape.wanted else inside
    swaps = "; this graph swaps them itself first" if shape.swaps_channels else ""
    return [
        Question("name", "the name of the model", usual, name, sure=True),
        Question(
            "role",
            "surrogate: is attacked, so that similar recognisers are fooled too. judge: is not attacked, only verifies",
            "surrogate",
            one_of("surrogate", "judge"),
        ),
        template(shape.height, shape.width),
        Question("order", f"the order of the colour channels; OpenCV reads BGR{swaps}", "RGB", one_of("RGB", "BGR")),
        Question(
            "mean",
            f"the mean to subtract, on a scale of 0 to 255{inside}; one number, or three: a,b,c",
            f"{mean:g}",
            numbers,
        ),
        Question(
            "std",
            "the standard deviation to divide by, on the same scale; one number, or three: a,b,c",
            f"{std:g}",
            positive,
        ),
        Question(
            "metric",
            "how two embeddings are compared: cosine (nearly always) or euclidean (dlib)",
            "cosine",
            one_of("cosine", "euclidean"),
        ),
        Question("licence-name", "the licence of the weights, as their authors state it", "none stated", str),
        Question(
            "licence-use",
            "permissive: any use. research: used only where the configuration accepts research licences",
            "research",
            one_of("permissive", "research"),
        ),
    ]


def free_name(data: Path, name: str) -> str:
    """Return `name`. Raises ModelsError: it cannot be one, or another model has it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ModelsError(f"{printable(name)}: a name is letters, digits, dots, hyphens and underscores")
    taken = store.in_use(data).get(name)
    if taken is not None:
        raise ModelsError(
            f"{name} is already installed, in {printable(taken.folder)}: give another --name, or remove it"
        )
    if any(entry.name == name for entry in read_catalog().models):
        raise ModelsError(f"{name} is a model of the catalog: give another --name, or pull it")
    return name


def one_of(*choices: str) -> Callable[[str], str]:
    """Return what reads one of a few words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"give one of {', '.join(choices)}")
        return text

    return read


def numbers(text: str) -> Triple:
    """Return one number for each channel, or the same for all. Raises ValueError."""
    parts = [float(part) for part in text.replace(",", " ").split()]
    if len(parts) == 1:
        parts *= 3
    if len(parts) != 3:
        raise ValueError("give one number, or three with commas between")
    return (parts[0], parts[1], parts[2])


def positive(text: str) -> Triple:
    """Return the same, above zero. Raises ValueError."""
    found = numbers(text)
    if not all(value > 0 for value in found):
        raise ValueError("give numbers above zero")
    return found


def template(height: int, width: int) -> Question:
    """Return the question for where the five points of a face lie in an input of this size."""
    sizes = {template_size(name): name for name in TEMPLATES}

    def read(text: str) -> Points:
        if text in TEMPLATES and sizes.get((height, width)) == text:
            return TEMPLATES[text]
        values = [float(part) for part in text.replace(",", " ").split()] if text not in TEMPLATES else []
        if len(values) != 10:
            raise ValueError(f"give five points for an input of {height} x {width}: x,y x,y x,y x,y x,y")
        points = list(zip(values[::2], values[1::2], strict=True))
        if not all(0 <= x < width and 0 <= y < height for x, y in points):
            raise ValueError(f"every point must lie inside the input, {height} x {width} (height x width)")
        return (points[0], points[1], points[2], points[3], points[4])

    meaning = "where eyes, nose and corners of the mouth are in the input, as in training"
    if (height, width) not in sizes:
        scale_x, scale_y = width / 112, height / 112
        guess = " ".join(f"{x * scale_x:.2f},{y * scale_y:.2f}" for x, y in TEMPLATES["arcface-112"])
        meaning += f": five points; ArcFace's, stretched to this size, would be {guess}"
    return Question("template", meaning, sizes.get((height, width)), read)
