"""The arithmetic of `benchmarks/cost.py`: what each stage is charged with, and what is measured once."""

from __future__ import annotations

import io
import json
import time
import types
from pathlib import Path

import pytest
from cost import Measured
from cost_photos import Case, Clock, Spent, draw, portraits
from PIL import Image


def test_what_is_inside_another_stage_counts_for_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = 0.0

    def work(seconds: float) -> None:
        nonlocal spent
        spent += seconds

    monkeypatch.setattr(time, "process_time", lambda: spent)
    clock, module = Clock(), types.ModuleType("module")
    module.decode = work  # type: ignore[attr-defined]
    with clock.inside(module, ["decode"]), clock.at("detect"):
        work(0.05)
        module.decode(0.15)
    assert clock.seconds["decode"] == pytest.approx(0.15)
    assert clock.seconds["detect"] == pytest.approx(0.05)
    assert module.decode is work  # it is as it was


def test_what_is_known_is_not_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "cost.json"
    assert Measured(file)("photo", lambda: {"seconds": 1}) == {"seconds": 1}
    assert Measured(file)("photo", lambda: {"seconds": 2}) == {"seconds": 1}
    assert json.loads(file.read_text()) == {"photo": {"seconds": 1}}


@pytest.mark.parametrize("case", [Case(1, 1), Case(1, 2), Case(1, 8)])
def test_a_photo_has_the_pixels_that_it_says(case: Case) -> None:
    with Image.open(io.BytesIO(portraits(case))) as image:
        assert image.width * image.height == pytest.approx(1e6, rel=0.01)


def test_the_same_figures_are_the_same_picture() -> None:
    spent = {Case(12, 1): Spent(dict.fromkeys(("decode", "detect", "change", "encode", "judge"), 1.0), 0)}
    assert draw(spent) == draw(spent)
