"""Whole photos for `cost.py`: how long a core is at each stage, and how much memory they take."""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from types import ModuleType
from typing import Any, Final

import numpy as np
import skimage.data
from memory import Peak
from PIL import Image

from uncnn.daemon.config import Models, Policy
from uncnn.daemon.evaluate.plots import COLOURS
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.protect import worker
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.inline_engine import InlineEngine
from uncnn.daemon.protect.messages import Change, Changed, Look, Looked
from uncnn.daemon.protect.pipeline import PhotoJob, people_for, protect
from uncnn.daemon.protect.wire import Ask, Report, silent

STAGES: Final = ("decode", "detect", "change", "encode", "judge")
QUALITY: Final = 92


@dataclass(frozen=True, slots=True)
class Case:
    """A photo that is taken as an example."""

    megapixels: float
    faces: int

    @property
    def name(self) -> str:
        """Return what it is called in tables."""
        return f"{self.megapixels:g} MP, {self.faces} face{'s' * (self.faces > 1)}"


CASES: Final = (
    *(Case(megapixels, 1) for megapixels in (1, 4, 12, 24)),
    Case(12, 8),
    *(Case(4, faces) for faces in (2, 4, 8, 16)),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a photo took."""

    seconds: Mapping[str, float]  # of a core, by stage
    bytes: int  # the most at a time, beyond the loaded models

    @property
    def all(self) -> float:
        """Return the seconds of all stages."""
        return sum(self.seconds.values())

    @property
    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"seconds": dict(self.seconds), "bytes": self.bytes}


@dataclass(slots=True)
class Clock:
    """Seconds of a core by stage; what is done inside of another stage counts for the inner one alone."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    _inner: list[float] = field(default_factory=list)  # seconds of what each open stage has inside

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count what is done in the block."""
        began = time.process_time()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = time.process_time() - began
            self.seconds[stage] += spent - self._inner.pop()
            if self._inner:
                self._inner[-1] += spent

    @contextmanager
    def inside(self, module: ModuleType, stages: Sequence[str]) -> Iterator[None]:
        """Count the functions of a module that are named as stages are, while the block runs."""
        own = {stage: getattr(module, stage) for stage in stages}
        try:
            for stage, work in own.items():
                setattr(module, stage, self._counted(stage, work))
            yield
        finally:
            for stage, work in own.items():
                setattr(module, stage, work)

    def _counted(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            with self.at(stage):
                return work(*arguments, **named)

        return counted


@dataclass(frozen=True, slots=True)
class Watched:
    """An engine whose stages are counted: what the worker does besides decoding and encoding is its stage."""

    engine: InlineEngine
    clock: Clock

    def look(self, asked: Look) -> Looked:
        """Return what there is in a photo."""
        with self.clock.at("detect"):
            return self.engine.look(asked)

    def change(self, asked: Change, report: Report) -> Changed:
        """Return the photo with its faces changed."""
        with self.clock.at("change"):
            return self.engine.change(asked, report)

    def judge(self, asked: Ask[Any]) -> Any:
        """Return what the verifier says."""
        with self.clock.at("judge"):
            return self.engine.judge(asked)


@functools.cache
def _engine() -> InlineEngine:
    """Return what photos go through, with its models loaded and a first photo done."""
    engine = InlineEngine.load(Models(), "cpu", data_dir())
    _spent(engine, Case(0.3, 1))
    return engine


def spend(case: Case) -> Spent:
    """Return how much a photo takes."""
    return _spent(_engine(), case)


def _spent(engine: InlineEngine, case: Case) -> Spent:
    clock, policy, data = Clock(), Policy(escalate=()), portraits(case)
    job = PhotoJob(Content(data=data), "photo.jpg", policy, people_for(policy))
    with clock.inside(worker, ("decode", "encode")), Peak() as peak:
        outcome = protect(Watched(engine, clock), job, silent)
    assert outcome.faces == case.faces, f"{case.name}: {outcome.faces} faces were found"
    return Spent(clock.seconds, peak.bytes)


def portraits(case: Case) -> bytes:
    """Return a JPEG of 4:3 with so many faces, a portrait each, in a grid."""
    columns = ceil(case.faces**0.5)
    rows = ceil(case.faces / columns)
    width = round((case.megapixels * 1e6 * 4 / 3) ** 0.5)
    portrait = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 384))
    cell = portrait.resize((width // columns, width * 3 // 4 // rows), Image.Resampling.BICUBIC)
    if rows != columns:  # as wide as it is high no longer: the portrait keeps its shape, in the middle
        height = cell.width * 3 // 4
        cell = portrait.resize((cell.width, height), Image.Resampling.BICUBIC)
    picture = Image.new("RGB", (width, width * 3 // 4), (128, 128, 128))
    for number in range(case.faces):
        picture.paste(cell, (number % columns * cell.width, number // columns * cell.height))
    grain = np.random.default_rng(0).normal(0, 2, (picture.height, picture.width, 1)).astype(np.float32)
    with io.BytesIO() as file:
        grained = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(grained).save(file, "JPEG", quality=QUALITY)
        return file.getvalue()


def line_of(case: Case, spent: Spent) -> str:
    """Return the row of a photo."""
    cells = [*(f"{spent.seconds[stage]:.2f}" for stage in STAGES), f"{spent.all:.2f}", f"{spent.bytes / 2**20:.0f}"]
    return f"| {case.name} | {' | '.join(cells)} |"


def draw(spent: Mapping[Case, Spent]) -> str:
    """Return the stages of each photo, one upon the other, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "cost"  # the same picture is the same file
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.subplots()
    names = [case.name for case in spent]
    before = np.zeros(len(names))
    for stage, colour in zip(STAGES, COLOURS, strict=False):
        seconds = np.array([own.seconds[stage] for own in spent.values()])
        axes.barh(names, seconds, left=before, color=colour, label=stage)
        before += seconds
    axes.invert_yaxis()
    axes.set_xlabel("seconds of a core")
    axes.legend(fontsize=8, frameon=False)
    axes.grid(visible=True, axis="x", color="#e5e5e5", lw=0.7)
    axes.set_axisbelow(True)
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()
