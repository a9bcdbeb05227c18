"""The faults are tried on the service of tests/daemon, with its helpers and fixtures."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HELPERS = Path(__file__).resolve().parents[1] / "daemon"
sys.path[:0] = [str(Path(__file__).parent), str(HELPERS), str(HELPERS / "spawned")]

from running import Running  # noqa: E402 (its folder is on the path from here on)
from scene import Scene  # noqa: E402


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(tmp_path)
    monkeypatch.setenv("UNCNN_STATE", str(made.state))
    made.configure(settle=0.2)
    yield made
    made.close()


@pytest.fixture
def running(scene: Scene) -> Running:
    return Running(scene)
