"""Lets the tests import the modules beside them, since pytest's importlib mode adds no folder of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "spawned"))

from scene import Scene
from stub_clips import StubVideoEngine
from stub_engine import stub_for


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(tmp_path)
    monkeypatch.setenv("UNCNN_STATE", str(made.state))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("uncnn.daemon.commands.run_once.engine_for", stub_for)
    monkeypatch.setattr("uncnn.daemon.video.protector.VideoEngine", StubVideoEngine)
    yield made
    made.close()
