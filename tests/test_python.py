"""`import uncnn`: what docs/python.md says of it, run."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import uncnn
from uncnn.daemon import python
from uncnn.plugins.api import UncnnError

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python.md"


def test_import_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'onnxruntime', 'numpy', 'PIL', 'pydantic'}"
    code = f"import sys, uncnn; uncnn.__version__; assert not {heavy} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_is_there() -> None:
    assert uncnn.__version__ == version("uncnn")
    assert all(getattr(uncnn, name) is not None for name in uncnn.__all__)
    with pytest.raises(AttributeError, match="no attribute 'uncloak'"):
        uncnn.uncloak  # noqa: B018


def test_a_photo_is_taken_from_whatever_holds_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 9, 3), np.uint8)
    file = tmp_path / "photo.png"
    Image.fromarray(pixels).save(file)
    for photo in (str(file), file, file.read_bytes(), Image.fromarray(pixels), pixels):
        (tmp_path / "read").write_bytes(python._read(photo)[0])
        with Image.open(tmp_path / "read") as image:
            assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("pixels", [np.zeros((8, 9), np.uint8), np.zeros((8, 9, 3)), np.zeros((8, 9, 4), np.uint8)])
def test_an_array_that_is_no_photo_is_refused(pixels: Any) -> None:
    with pytest.raises(UncnnError, match="give an array"):
        uncnn.cloak(pixels)


@pytest.mark.parametrize(("decision", "written"), [("publish", True), ("hold", False), ("skip", False)])
def test_a_copy_that_would_be_held_is_not_saved_by_mistake(tmp_path: Path, decision: Any, written: bool) -> None:
    verdict = uncnn.Verdict("0" * 64, 1e-3, ("as-is",), ())
    outcome = python.Outcome(decision, "why", python.Content(data=b"copy"), verdict, (), "PNG", (), 1.0)
    cloaked = uncnn.Cloaked(b"copy", outcome)
    if not written:
        with pytest.raises(UncnnError, match="is not written: why"):
            cloaked.save(tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
    cloaked.save(tmp_path / "copy", anyway=not written)
    assert (tmp_path / "copy").read_bytes() == b"copy"


@pytest.mark.slow
def test_the_examples_of_the_page(tmp_path: Path) -> None:
    """In a process of its own, without an `if __name__` guard."""
    skimage = pytest.importorskip("skimage")
    Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200)).save(tmp_path / "portrait.jpg", quality=95)
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 2
    command = [sys.executable, "-c", "".join(examples)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cloaked.jpg").exists()
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 face protected")
    assert lines[1] in ("protected", "not-protected")
