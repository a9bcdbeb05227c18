"""The page's scripts keep to the types that their comments say; nothing of TypeScript is installed at a user's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from uncnn.daemon.web.assets import FOLDER
from uncnn.daemon.web.camera import RUNTIME

pytestmark = pytest.mark.slow

CONFIGURATION = Path(__file__).with_name("tsconfig.json")


def checked(modules: Path, project: Path) -> subprocess.CompletedProcess[str]:
    command = [modules / ".bin" / "tsc", "--project", project]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


def test_the_scripts_keep_to_their_types(modules: Path) -> None:
    run = checked(modules, CONFIGURATION)
    assert run.returncode == 0, run.stdout


def test_what_does_not_is_found(modules: Path, tmp_path: Path) -> None:
    below = tmp_path / "one" / "two" / "three" / "four"
    below.mkdir(parents=True)
    shutil.copy(CONFIGURATION, below)
    scripts = tmp_path / "daemon" / "web" / "static"
    shutil.copytree(FOLDER, scripts)
    shutil.copytree(RUNTIME, scripts.with_name(RUNTIME.name))  # what the scripts of the camera use
    assert checked(modules, below / "tsconfig.json").returncode == 0
    (scripts / "boxes.js").write_text((scripts / "boxes.js").read_text() + "\ndraw(1, 2, 3);\n")
    run = checked(modules, below / "tsconfig.json")
    assert run.returncode != 0
    assert "boxes.js" in run.stdout
