"""The notebook of docs/augment.md runs from its first cell to its last, on a few copies of one photo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

NOTEBOOK = Path(__file__).resolve().parents[3] / "docs" / "augment.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    skimage = pytest.importorskip("skimage")
    face = Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200))
    for number in range(4):
        (tmp_path / "people" / str(number)).mkdir(parents=True)
        face.rotate(3 * number).save(tmp_path / "people" / str(number) / "1.png")
    monkeypatch.chdir(tmp_path)
    cells = [
        "".join(each["source"]) for each in json.loads(NOTEBOOK.read_text())["cells"] if each["cell_type"] == "code"
    ]
    shortened = cells[0].replace('BATCHES, DEVICE = Path("people"), 8, 400', 'BATCHES, DEVICE = Path("people"), 2, 2')
    assert shortened != cells[0]
    names: dict[str, object] = {}
    for cell in [shortened, *cells[1:]]:
        exec(compile(cell, str(NOTEBOOK), "exec"), names)
    said = capsys.readouterr().out
    assert "3 people to learn from, 1 to measure, 3 and 1 faces" in said
    assert "left of a face under 8 steps of pgd" in said
    assert torch.load("hardened.pt", weights_only=True)
