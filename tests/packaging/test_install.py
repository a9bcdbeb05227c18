"""The wheel in fresh environments, one an extra: what each brings, and what is said where something is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from uncnn.daemon.output import NOT_RUNNING
from uncnn.plugins.extras import REMEDIES

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "docs" / "examples" / "astronaut.png"
UV = Path(sys.executable).with_name("uv")
LARGEST_BASE = 450_000_000  # bytes on disk of what every user gets; what computes comes besides
LARGEST_VERIFY = 550_000_000  # with what judges
FOR_NOBODY = {"albumentations", "opencv", "pandas", "scikit_learn", "scikit_image", "streamlit", "retinaface_pytorch"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sources as they are published, and the wheel that was built of them."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([UV, "build", "-q", "-o", folder, ROOT], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (file,) = built.glob("uncnn-*.whl")
    return file


@pytest.fixture(scope="module")
def pins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tested versions as constraints."""
    file = tmp_path_factory.mktemp("pins") / "constraints.txt"
    pinned = re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    file.write_text("\n".join(pinned))
    return file


def fresh(home: Path, **more: str) -> dict[str, str]:
    """Return an environment that knows nothing of this one but the cache of packages."""
    own = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV", "UNCNN_MODELS"}}
    cache = subprocess.run([UV, "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()
    return {**own, "HOME": str(home), "UV_CACHE_DIR": cache, **more}


def installed(wheel: Path, pins: Path, extra: str, place: Path) -> set[str]:
    """Install the wheel with an extra into a fresh environment; return the names of all packages there."""
    environment = fresh(place, VIRTUAL_ENV=str(place / "venv"))
    for command in (
        ["venv", "-q", "--python", sys.executable, place / "venv"],
        ["pip", "install", "-q", "-c", pins, f"{wheel}{extra}"],
    ):
        subprocess.run([UV, *command], env=environment, check=True, cwd=place)
    return {found.name.split("-")[0] for found in place.glob("venv/lib/python3*/site-packages/*.dist-info")}


def run(place: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = place / "venv" / "bin" / "uncnn-daemon"
    return subprocess.run([program, *arguments], env=fresh(place), capture_output=True, text=True, check=False)


def test_the_base_is_small_and_says_what_it_lacks(wheel: Path, pins: Path, tmp_path: Path) -> None:
    packages = installed(wheel, pins, "", tmp_path)
    assert not {"torch", "scipy", "timm", "matplotlib", *FOR_NOBODY} & packages
    assert not [name for name in packages if name.startswith(("nvidia", "onnxruntime"))]
    assert sum(file.lstat().st_size for file in (tmp_path / "venv").rglob("*")) < LARGEST_BASE
    assert run(tmp_path, "--help").returncode == 0
    words = 'torch and onnxruntime are not installed: pip install "uncnn[cpu]", or "uncnn[cuda]" for an NVIDIA GPU\n'
    answer = run(tmp_path, "cloak", PORTRAIT, "-o", tmp_path / "out")
    assert (answer.returncode, answer.stderr) == (1, f"uncnn-daemon: {words}")
    assert 'torch is not installed: pip install "uncnn[cpu]"' in run(tmp_path, "plugins", "show", "veil").stderr


def test_with_verify_copies_are_judged_without_torch(wheel: Path, pins: Path, tmp_path: Path) -> None:
    packages = installed(wheel, pins, "[verify]", tmp_path)
    assert "onnxruntime" in packages
    assert not {"torch", "scipy", *FOR_NOBODY} & packages
    assert sum(file.lstat().st_size for file in (tmp_path / "venv").rglob("*")) < LARGEST_VERIFY
    answer = run(tmp_path, "verify", PORTRAIT, PORTRAIT)
    assert (answer.returncode, answer.stderr) == (4, ""), "a photo is linked to itself"
    answer = run(tmp_path, "cloak", PORTRAIT, "-o", tmp_path / "out", "--server", "ssh://nowhere.invalid")
    assert answer.returncode == 1
    assert 'torch is not installed: pip install "uncnn[cpu]"' in answer.stdout
    assert "ssh://nowhere.invalid: " in answer.stdout


def test_with_cpu_a_photo_is_cloaked(wheel: Path, pins: Path, tmp_path: Path) -> None:
    packages = installed(wheel, pins, "[cpu]", tmp_path)
    assert not {"onnxruntime_gpu", "scipy", "timm", "matplotlib", *FOR_NOBODY} & packages
    answer = run(tmp_path, "cloak", PORTRAIT, "-o", tmp_path / "out")
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "out" / "astronaut.png").is_file()


@pytest.mark.parametrize("extra", ["evaluate", "notify", "video", "web"])
def test_what_an_extra_is_asked_for_is_there_and_can_be_imported(
    extra: str, wheel: Path, pins: Path, tmp_path: Path
) -> None:
    wanted = [name for name, remedy in REMEDIES.items() if f"uncnn[{extra}]" in remedy]
    assert wanted
    packages = installed(wheel, pins, f"[{extra}]", tmp_path)
    assert not {"torch", "onnxruntime", *FOR_NOBODY} & packages
    code = f"import importlib\nfor name in {wanted}: importlib.import_module(name)"
    command = [tmp_path / "venv" / "bin" / "python", "-c", code]
    done = subprocess.run(command, env=fresh(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_a_tool_of_uv(built: Path, tmp_path: Path) -> None:
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    (sources,) = built.glob("uncnn-*.tar.gz")
    command = [UV, "tool", "install", "-q", "--python", sys.executable, sources]
    subprocess.run(command, env=fresh(tmp_path, **folders), check=True, cwd=tmp_path)
    for name in ("uncnn", "uncnn-daemon"):
        answer = subprocess.run([tmp_path / "bin" / name, "--version"], capture_output=True, text=True, check=True)
        assert re.match(rf"{name} \d|uncnn-daemon \d", answer.stdout)


@pytest.mark.parametrize("way", [pytest.param("pip", marks=pytest.mark.long), "pipx"])
def test_the_wheel_installs_by_other_installers_too(way: str, wheel: Path, pins: Path, tmp_path: Path) -> None:
    environment = fresh(tmp_path, PIPX_HOME=str(tmp_path / "pipx"), PIPX_BIN_DIR=str(tmp_path / "venv" / "bin"))
    if way == "pip":
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
        command = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "install", "-q", "-c", pins, wheel]
    else:
        own = ["--pip-args", f"-c {pins}", "--python", sys.executable, wheel]
        command = [UV, "tool", "run", "-q", "--from", "pipx", "pipx", "install", "-q", *own]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert run(tmp_path, "--version").stdout.startswith("uncnn-daemon ")
    assert run(tmp_path, "status").returncode == NOT_RUNNING
