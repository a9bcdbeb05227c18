"""The notebook of docs/augment.md runs from its first cell to its last, on a few copies of one photo."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

NOTEBOOK = Path(__file__).resolve().parents[3] / "docs" / "augment.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    skimage = pytest.importorskip("skimage")
    face = Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200))
    for number in range(5):
        (tmp_path / "people" / str(number)).mkdir(parents=True)
        face.rotate(3 * number).save(tmp_path / "people" / str(number) / "1.png")
    aside = face.transpose(Image.Transpose.ROTATE_90)
    aside.getexif()[0x0112] = 6  # how phones write a portrait
    aside.save(tmp_path / "people" / "0" / "2.jpg", exif=aside.getexif())
    (tmp_path / "people" / "0" / "notes.txt").write_text("no photo")
    (tmp_path / "people" / "nobody").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "people" / "nobody" / "1.png")
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
    assert "people/0/notes.txt: no photo\npeople/nobody/1.png: no face\n" in said
    assert "5 people; faces: 2 to learn from, 1 to check, 3 to measure" in said
    for name in ("as they are", "mi-fgsm, published", "mi-fgsm, itself"):
        assert re.search(rf"^{name} +-?\d\.\d+ before, -?\d\.\d+ after$", said, re.MULTILINE)
    assert "as they are          1.000 before" in said
    assert torch.load("hardened.pt", weights_only=True)
