"""Lets the tests of clips use those that `benchmarks/clips.py` makes of a portrait in the public domain."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import clips
from clips import Scene

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def person() -> Scene:
    """Return a scene of one person."""
    return clips.one_person(clips.portrait(ROOT / "docs" / "examples" / "astronaut.png"), 0.8)


@pytest.fixture
def make_clip(tmp_path: Path, person: Scene) -> Callable[..., Path]:
    """Return what writes a clip of one person, by its name, its seconds and what `clips.write` takes."""

    def make(name: str = "clip.mp4", seconds: float = 1.0, **how: object) -> Path:
        return clips.write(tmp_path / name, person, seconds, (320, 180), **how)  # type: ignore[arg-type]

    return make
