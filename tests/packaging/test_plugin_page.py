"""The attack and the detector of docs/plugins.md, each built as a distribution of its own and run by the command."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
PROGRAM = Path(sys.executable).with_name("uncnn-daemon")


def installed_from_page(root: Path, folder: str, module: str) -> Path:
    """Return a folder with the page's files below `folder`, built into a wheel and unpacked as an installer does."""
    text = PAGE.read_text()
    for name, language in (("pyproject.toml", "toml"), (f"{module}.py", "python")):
        (block,) = re.findall(
            rf"^`{re.escape(folder + name)}`\n\n```{language}\n(.*?)```", text, re.DOTALL | re.MULTILINE
        )
        (root / name).write_text(block)
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--skip-dependency-check",
        "--outdir",
        "dist",
        ".",
    ]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = (root / "dist").glob(f"uncnn_{module}-1.0-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(root / "site")
    return root / "site"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_from_page(tmp_path_factory.mktemp("attack"), "", "halfway")


@pytest.fixture(scope="module")
def either(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_from_page(tmp_path_factory.mktemp("detector"), "either/", "either")


def uncnn(installed: Path, home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    own = {"HOME": str(home), "PYTHONPATH": str(installed), "UNCNN_MODELS": str(home / "none")}
    environment = {**os.environ, **own, "XDG_DATA_HOME": str(home / "data"), "UNCNN_STATE": str(home / "state")}
    return subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_is_listed_and_shown_like_ours(installed: Path, tmp_path: Path) -> None:
    listed = uncnn(installed, tmp_path, "plugins", "list").stdout
    assert re.search(r"^halfway +uncnn-halfway 1\.0 +Go along the gradient", listed, re.MULTILINE)
    shown = uncnn(installed, tmp_path, "plugins", "show", "halfway").stdout
    assert "share = 0.5  (how much of each pixel's bound may be used; in bounds of each pixel" in shown


@pytest.mark.slow
def test_it_cloaks_a_face_and_refuses_what_it_does_not_take(installed: Path, tmp_path: Path) -> None:
    skimage = pytest.importorskip("skimage")
    Image.fromarray(skimage.data.astronaut()[:200, 130:330]).save(tmp_path / "photo.png")
    (tmp_path / "anyway.yaml").write_text("policies: {everyday: {escalate: [], unprotected: publish-anyway}}\n")
    words = [tmp_path / "photo.png", "-o", tmp_path / "cloaked", "--attack", "halfway", "--set", "steps=3"]
    words += ["--config", tmp_path / "anyway.yaml"]  # three steps need not be enough
    answer = uncnn(installed, tmp_path, "cloak", *words, "--json")
    assert answer.returncode == 0, answer.stderr
    changed = np.asarray(Image.open(tmp_path / "cloaked" / "photo.png").convert("RGB"))
    assert (changed != np.asarray(Image.open(tmp_path / "photo.png"))).any()
    wrong = uncnn(installed, tmp_path, "cloak", *words, "--set", "share=2")
    assert wrong.returncode == 1
    assert "share 2: give a number above 0, at most 1" in wrong.stdout + wrong.stderr


def portrait(file: Path) -> Path:
    skimage = pytest.importorskip("skimage")
    Image.fromarray(skimage.data.astronaut()[:200, 130:330]).save(file)
    return file


@pytest.mark.slow
def test_the_detector_is_listed_shown_and_finds_a_face_in_its_sandbox(either: Path, tmp_path: Path) -> None:
    listed = uncnn(either, tmp_path, "plugins", "list").stdout
    assert re.search(r"^either +uncnn-either 1\.0 +\(detector\) Whatever one of two detectors", listed, re.MULTILINE)
    (tmp_path / "config.yaml").write_text("device: cpu\nmodels: {detector: either}\n")
    words = ["inspect", portrait(tmp_path / "photo.png"), "--json", "--config", tmp_path / "config.yaml"]
    answer = uncnn(either, tmp_path, *words)
    assert answer.returncode == 0, answer.stderr
    (face,) = json.loads(answer.stdout)["faces"]
    assert face["cloaked"]
    assert face["score"] > 0.9


@pytest.mark.slow
def test_the_detector_serves_the_worker_and_the_verifier(either: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("device: cpu\nmodels: {detector: either}\n")
    words = [
        portrait(tmp_path / "photo.png"),
        "-o",
        tmp_path / "cloaked",
        "--json",
        "--config",
        tmp_path / "config.yaml",
    ]
    answer = uncnn(either, tmp_path, "cloak", *words)
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "cloaked" / "photo.png").exists()
    with sqlite3.connect(tmp_path / "state" / "ledger.sqlite3") as ledger:
        ((roster,),) = ledger.execute("SELECT content FROM rosters")
    assert json.loads(roster)["detector"] == {"plugin": "either", "distribution": "uncnn-either 1.0"}


@pytest.mark.slow
def test_centerface_alone_is_refused_and_nothing_is_released(either: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("device: cpu\nmodels: {detector: centerface}\n")
    words = [portrait(tmp_path / "photo.png"), "-o", tmp_path / "cloaked", "--config", tmp_path / "config.yaml"]
    answer = uncnn(either, tmp_path, "cloak", *words)
    assert answer.returncode != 0
    assert "the detector centerface misses the drawn face of a known picture" in answer.stderr + answer.stdout
    assert "`models.detector`" in answer.stderr + answer.stdout
    assert not (tmp_path / "cloaked" / "photo.png").exists()
