"""`run --once` as a person runs it: a real process, real networks, real photos, good and bad."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from uncnn.daemon.ledger import Ledger, State
from uncnn.daemon.output import BAD_CONFIGURATION, DEGRADED, ERROR, OK, USAGE
from uncnn.exporters.registry.store import EMBEDDED

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")

CONFIGURATION = """
version: 1
device: cpu
models:
  surrogates: [mobilefacenet-foamliu, esp-mfn, mobileface-v2]
folders:
  - {watch: in, publish: out, settle_seconds: 0}
  - {watch: feeble, publish: feeble-out, policy: feeble, settle_seconds: 0}
policies:
  everyday: {attack: {name: pgd, strength: strong}, escalate: []}
  feeble: {attack: {name: pgd, strength: subtle, steps: 1, epsilon_255: 0.5, texture: 0}, escalate: []}
"""


@dataclass(frozen=True)
class Home:
    """A scratch home, a configuration in it, and the models."""

    root: Path
    models: Path

    def command(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "XDG_DATA_HOME": str(self.root / "data"),
            "UNCNN_STATE": str(self.root / "state"),
            "UNCNN_CONFIG": str(self.root / "config.yaml"),
            "UNCNN_MODELS": str(self.models),
            "COLUMNS": "200",
            **{key: value for key, value in os.environ.items() if key.startswith("COV")},
        }
        command = [str(PROGRAM), *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


@dataclass(frozen=True)
class Ran:
    """The first run, and what the originals were before it."""

    home: Home
    returncode: int
    photos: dict[str, dict[str, Any]]
    originals: dict[Path, tuple[str, int, int]]


def described(home: Home) -> dict[Path, tuple[str, int, int]]:
    """Return the sha256, the size and the time of every original."""
    files = [path for name in ("in", "feeble") for path in (home.root / name).rglob("*") if path.is_file()]
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, path.stat().st_ctime_ns)
        for path in files
    }


@pytest.fixture(scope="module")
def ran(detector_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    skimage = pytest.importorskip("skimage")
    home = Home(tmp_path_factory.mktemp("home"), EMBEDDED)
    shutil.copytree(detector_folder, home.root / "data" / "uncnn" / "models")
    (home.root / "config.yaml").write_text(CONFIGURATION)
    watch = home.root / "in"
    (watch / "album").mkdir(parents=True)
    (home.root / "feeble").mkdir()
    face = home.root / "face.jpg"
    Image.fromarray(skimage.data.astronaut()[:250, 100:350]).save(face, quality=95)
    shutil.copyfile(face, watch / "album" / "face.jpg")
    shutil.copyfile(face, home.root / "feeble" / "face.jpg")
    Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 20).convert("RGB").save(watch / "nobody.png")
    (watch / "empty.jpg").touch()
    (watch / "truncated.jpg").write_bytes(face.read_bytes()[:3000])
    (watch / "text.JPG").write_text("This is no photo.\n" * 50)
    (watch / "link.jpg").symlink_to(face)
    originals = described(home)
    answer = home.command("run", "--once", "--json")
    assert answer.stdout, answer.stderr
    done = json.loads(answer.stdout)["photos"]
    photos = {os.fspath(Path(photo["photo"]).relative_to(home.root)): photo for photo in done}
    return Ran(home, answer.returncode, photos, originals)


def test_each_photo_ends_where_it_belongs(ran: Ran) -> None:
    assert {name: photo["status"] for name, photo in ran.photos.items()} == {
        "in/album/face.jpg": "published",
        "in/nobody.png": "published",
        "in/empty.jpg": "error",
        "in/truncated.jpg": "error",
        "in/text.JPG": "error",
        "in/link.jpg": "error",
        "feeble/face.jpg": "held",
    }
    assert ran.returncode == ERROR
    assert ran.photos["in/album/face.jpg"]["verdict"]["protected"] is True
    assert "links the face" in ran.photos["feeble/face.jpg"]["message"]


def test_the_publish_folder_holds_exactly_what_was_verified(ran: Ran) -> None:
    with Ledger(ran.home.root / "state" / "ledger.sqlite3") as ledger:
        published = ledger.jobs(state=State.PUBLISHED)
        assert {job.state for job in ledger.jobs()} == {
            State.PUBLISHED,
            State.HELD,
            State.QUARANTINED,
            State.RETRY,  # the truncated one: it may be whole by the next run
        }
    out = ran.home.root / "out"
    there = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.rglob("*") if path.is_file()}
    assert there == {out / (job.published or ""): job.released_sha256 for job in published}
    assert there[out / "album" / "face.jpg"] == ran.photos["in/album/face.jpg"]["verdict"]["sha256"]
    assert [path for path in (ran.home.root / "feeble-out").rglob("*") if path.is_file()] == []


def test_the_originals_are_untouched(ran: Ran) -> None:
    assert described(ran.home) == ran.originals


def test_the_status_says_what_needs_a_person(ran: Ran) -> None:
    answer = ran.home.command("status")
    assert answer.returncode == DEGRADED
    for words in (
        "attacked recognisers: mobilefacenet-foamliu",
        "judges: dlib-resnet",
        "feeble/face.jpg",
        "empty.jpg",
        "device: cpu",
    ):
        assert words in answer.stdout


def test_a_second_run_takes_up_nothing_that_is_done(ran: Ran) -> None:
    for name in ("empty.jpg", "text.JPG", "link.jpg", "truncated.jpg"):
        (ran.home.root / "in" / name).unlink()
    answer = ran.home.command("run", "--once")
    assert answer.returncode == DEGRADED
    assert "no new photos" in answer.stdout
    assert "feeble/face.jpg: still held" in answer.stdout
    (ran.home.root / "feeble" / "face.jpg").unlink()
    assert ran.home.command("run", "--once").returncode == OK


def test_a_configuration_that_is_wrong_is_said_with_all_that_is(tmp_path: Path) -> None:
    home = Home(tmp_path, EMBEDDED)
    (tmp_path / "config.yaml").write_text("version: 1\ndevice: tpu\nfolders: [{watch: in, policy: none}]\n")
    answer = home.command("run", "--once")
    assert answer.returncode == BAD_CONFIGURATION
    assert len([line for line in answer.stderr.splitlines() if "config.yaml:" in line]) == 3
    assert not (tmp_path / "state").exists()
    (tmp_path / "config.yaml").unlink()
    assert home.command("run", "--once").returncode == BAD_CONFIGURATION


def test_json_is_for_a_run_that_ends(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path)
    (tmp_path / "config.yaml").write_text("folders: []\n")
    answer = home.command("run", "--json")
    assert answer.returncode == USAGE
    assert "--json needs --once" in answer.stderr


def test_models_that_are_missing_are_said_and_no_photo_pays_for_it(ran: Ran, tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "nowhere")
    (tmp_path / "in").mkdir()
    (tmp_path / "feeble").mkdir()
    shutil.copyfile(ran.home.root / "in" / "nobody.png", tmp_path / "in" / "nobody.png")
    (tmp_path / "config.yaml").write_text(CONFIGURATION.replace("esp-mfn,", "mobilefacenet-y1,"))
    answer = home.command("run", "--once")
    assert answer.returncode == ERROR
    assert answer.stderr.startswith("uncnn-daemon: surrogate 'mobilefacenet-y1' is not installed")
    assert len(answer.stderr.splitlines()) == 1
    with Ledger(tmp_path / "state" / "ledger.sqlite3") as ledger:
        assert [(job.state, job.attempts) for job in ledger.jobs()] == [(State.QUEUED, 0)]
