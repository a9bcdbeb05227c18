"""The benchmarks in small: none is forgotten, what each says comes out whole, and a failure is the exit status."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
ELSEWHERE = {
    "camera": "needs chromium; tests/daemon/web/browser/test_camera.py does the same",
    "memory": "a test",
    "page_pictures": "draws what docs/web.md shows; tests/daemon/web/browser does the same",
    "opinion": "run where its model is made anew",
    "robust": "run where its model is made anew",
    "screens": "draws what docs/screens.md shows; tests/daemon/web/browser does the same",
    "strengths": "has none",
}


@pytest.fixture
def smokes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("smokes", BENCHMARKS / "smokes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_benchmark_is_tried_in_small(smokes: ModuleType) -> None:
    programs = {file.stem for file in BENCHMARKS.glob("*.py") if "__main__" in file.read_text()}
    assert programs - {"smokes"} == {*smokes.LONGEST_FIRST, *ELSEWHERE}


def test_all_are_run_and_the_first_failure_is_the_exit_status(
    smokes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, status in (("good", 0), ("bad", 7), ("last", 0)):
        lines = (
            f"import sys\nprint('{name}', sys.argv[1:])\nprint('{name} complains', file=sys.stderr)\nsys.exit({status})"
        )
        (tmp_path / f"{name}.py").write_text(lines)
    monkeypatch.setattr(smokes, "HERE", tmp_path)
    monkeypatch.setattr(smokes, "LONGEST_FIRST", ("good", "bad", "last"))
    monkeypatch.setattr(sys, "argv", ["smokes.py"])
    assert smokes.main() == 7
    said = capsys.readouterr()
    for name in ("good", "bad", "last"):
        assert f"{name} ['--smoke']\n{name} complains\n" in said.out
    assert "bad: exit status 7" in said.out
    assert said.err == "failed: bad (7)\n"
