"""Lets these tests use the clips that `benchmarks/clips.py` makes of a portrait in the public domain."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import clips

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def astronaut() -> object:
    """Return a portrait."""
    return clips.portrait(ROOT / "docs" / "examples" / "astronaut.png")
