"""The commands as a person runs them: real processes, real networks, real files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.config import Config, Policy
from uncnn.daemon.settings import SettingsError, named_policy, settings_for, usual_policy
from uncnn.exporters.pulling.packages import packaged
from uncnn.exporters.registry.catalog import read_catalog
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.geometry import similarities
from uncnn.plugins.recognisers.onnx_recogniser import crop

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
FEW = "surrogates: [mobilefacenet-foamliu, esp-mfn, mobileface-v2]"


@dataclass(frozen=True)
class Home:
    """A scratch home with everything that the commands look at."""

    root: Path
    models: Path

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "COLUMNS": "200",
            "UNCNN_MODELS": str(self.models),
            **{key: value for key, value in os.environ.items() if key.startswith(("COVERAGE", "COV_"))},
        }
        command = [str(PROGRAM), *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def home(detector_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"), EMBEDDED)
    shutil.copytree(detector_folder, home.root / ".local" / "share" / "uncnn" / "models")
    configuration = f"""
version: 1
device: cpu
models: {{{FEW}}}
policies:
  everyday: {{attack: {{name: pgd, strength: strong}}, escalate: []}}
  feeble: {{attack: {{name: pgd, strength: subtle, steps: 1, epsilon_255: 0.5, texture: 0}}, escalate: []}}
"""
    (home.root / ".config" / "uncnn").mkdir(parents=True)
    (home.root / ".config" / "uncnn" / "config.yaml").write_text(configuration)
    return home


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    skimage = pytest.importorskip("skimage")
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


@dataclass(frozen=True)
class Cloaked:
    """One run of `cloak` over a good photo and every kind of bad one."""

    answer: subprocess.CompletedProcess[str]
    photos: dict[str, dict[str, Any]]
    output: Path


@pytest.fixture(scope="module")
def cloaked(home: Home, portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Cloaked:
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "empty.jpg").touch()
    Image.open(portrait).save(folder / "whole.jpg", quality=90)
    (folder / "truncated.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:20_000])
    (folder / "whole.jpg").unlink()
    (folder / "text.jpg").write_text("This is no photo.\n" * 50)
    header = bytes.fromhex("ffd8ffc0001108ea60ea6003012200021101031101ffd9")  # a JPEG that claims 60,000 x 60,000
    (folder / "huge.jpg").write_bytes(header)
    (folder / "folder.jpg").mkdir()
    Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 20).convert("RGB").save(folder / "noface.png")
    names = ["empty.jpg", "truncated.jpg", "text.jpg", "huge.jpg", "folder.jpg", "missing.jpg", "noface.png"]
    output = tmp_path_factory.mktemp("out") / "cloaked"
    answer = home.run("cloak", *[folder / name for name in names], portrait, "-o", output, "--json")
    photos = {Path(photo["photo"]).name: photo for photo in json.loads(answer.stdout)["photos"]}
    return Cloaked(answer, photos, output)


def test_a_portrait_is_released_protected(cloaked: Cloaked, portrait: Path) -> None:
    photo = cloaked.photos["astronaut.png"]
    assert photo["status"] == "published", photo["message"]
    verdict = photo["verdict"]
    published = Path(photo["published"])
    assert published == cloaked.output / "astronaut.png"
    assert hashlib.sha256(published.read_bytes()).hexdigest() == verdict["sha256"]
    assert verdict["protected"] is True
    (face,) = (face for face in verdict["faces"] if face["required"])
    assert {judgement["view"] for judgement in face["judgements"]} == {"as-is", "jpeg-75", "half-size", "blur-1"}
    roles = {judgement["recogniser"]: judgement["role"] for judgement in face["judgements"]}
    assert {name for name, role in roles.items() if role == "judge"} == {"dlib-resnet", "openvino-0095"}
    for judgement in face["judgements"]:
        same = judgement["before"] > 0.9 if judgement["metric"] == "cosine" else judgement["before"] < 0.3
        assert same, "the photo's own re-encoding still is the person"
        assert not judgement["linked"], "judges and attacked recognisers alike"
    before, after = np.asarray(Image.open(portrait)), np.asarray(Image.open(published))
    assert before.shape == after.shape
    changed = np.abs(after.astype(int) - before).max(axis=2) > 0
    left, top, right, bottom = face["box"]
    size = max(right - left, bottom - top)
    ys, xs = np.nonzero(changed)
    assert xs.min() > left - size
    assert xs.max() < right + size
    assert ys.max() < bottom + size
    jod = verdict["jod"]
    assert 10 > jod["phone"] >= jod["desktop"] > jod["zoom"] == face["jod_zoom"] > 6
    assert photo["message"].endswith(f"; change: {verdict['change']}")
    assert "visible" in verdict["change"]


def test_the_verdict_is_true_when_dlib_itself_is_asked(cloaked: Cloaked, portrait: Path) -> None:
    dlib = pytest.importorskip("dlib")
    photo = cloaked.photos["astronaut.png"]
    (face,) = (face for face in photo["verdict"]["faces"] if face["required"])
    said = next(j for j in face["judgements"] if (j["recogniser"], j["view"]) == ("dlib-resnet", "as-is"))
    network = dlib.face_recognition_model_v1(str(packaged(read_catalog().named(["dlib-resnet"])[0].files[0])))
    template = np.array([[47.4, 46.59], [101.93, 46.23], [75.4, 78.27], [51.18, 103.87], [97.35, 103.74]])
    matrix = similarities(np.array([face["landmarks"]]), template)[0]
    shown = [np.asarray(Image.open(path)) for path in (portrait, photo["published"])]
    one, other = (np.array(network.compute_face_descriptor(crop(pixels, matrix, (150, 150)))) for pixels in shown)
    distance = float(np.linalg.norm(one - other))
    assert distance > said["threshold"], "dlib itself does not link them"
    assert said["after"] <= distance + 1e-3, "the verdict is at least as strict"
    assert said["threshold"] == pytest.approx(0.539)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.jpg", "empty"),
        ("truncated.jpg", "incomplete JPEG"),
        ("text.jpg", "photo"),
        ("huge.jpg", "60000 x 60000"),
        ("folder.jpg", "folder"),
        ("missing.jpg", "no such file"),
    ],
)
def test_bad_input_gets_one_clear_line_and_the_others_go_on(cloaked: Cloaked, name: str, words: str) -> None:
    photo = cloaked.photos[name]
    assert photo["status"] == "error"
    assert words in photo["message"]
    assert name.split(".", maxsplit=1)[0] in photo["message"]
    assert "\n" not in photo["message"]
    assert "internal error" not in photo["message"]
    assert cloaked.answer.returncode == 1


def test_a_photo_without_a_face_is_released_and_said(cloaked: Cloaked) -> None:
    photo = cloaked.photos["noface.png"]
    assert photo["status"] == "published"
    assert photo["message"].startswith("no face found")


def test_nothing_is_half_written(cloaked: Cloaked, home: Home) -> None:
    assert sorted(path.name for path in cloaked.output.iterdir()) == ["astronaut.png", "noface.png"]
    spool = home.root / ".local" / "state" / "uncnn" / "spool"
    assert list(spool.iterdir()) == []


@pytest.mark.slow
def test_an_unprotected_photo_is_held_and_named(home: Home, portrait: Path, tmp_path: Path) -> None:
    before = portrait.read_bytes(), portrait.stat().st_mtime_ns
    answer = home.run("cloak", portrait, "-o", tmp_path / "out", "--policy", "feeble")
    assert answer.returncode == 4, answer.stderr
    assert "held" in answer.stdout
    assert "astronaut.png" in answer.stdout
    assert "links the face" in answer.stdout
    assert "linked" in answer.stdout
    assert list((tmp_path / "out").iterdir()) == []
    assert (portrait.read_bytes(), portrait.stat().st_mtime_ns) == before, "originals are never changed"
    page = tmp_path / "page.html"
    shown = home.run("held", "show", str(portrait), "-o", page)
    assert shown.returncode == 0, shown.stderr
    assert "links the face" in shown.stdout
    assert "face at" in shown.stdout
    assert "<h1>Two versions of a photo</h1>" in page.read_text()
    (judged,) = (home.root / ".local" / "state" / "uncnn" / "held").glob("*.png")
    content = judged.read_bytes()
    assert home.run("held", "release", str(portrait)).returncode == 0
    assert (tmp_path / "out" / "astronaut.png").read_bytes() == content
    assert not judged.exists()
    gone = home.run("held", "show", str(portrait))
    assert gone.returncode == 1
    assert "published, not held" in gone.stderr


@pytest.mark.slow
def test_a_face_that_is_left_is_published_as_it_is(home: Home, portrait: Path, tmp_path: Path) -> None:
    photo, output = tmp_path / "friend.png", tmp_path / "out"
    Image.open(portrait).crop((130, 0, 330, 200)).save(photo)
    command = ("cloak", photo, "-o", output, "--policy", "feeble")
    assert home.run(*command).returncode == 4
    assert "face 1, " in home.run("held", "list").stdout
    asked = home.run("held", "leave", photo, "--face", 1)
    assert (asked.returncode, f"queued; run `uncnn-daemon cloak {photo} -o {output}`" in asked.stdout) == (0, True)
    again = home.run(*command)
    assert again.returncode == 0, again.stdout
    assert "1 face left as you asked" in again.stdout
    assert np.array_equal(np.asarray(Image.open(photo)), np.asarray(Image.open(output / "friend.png")))


@pytest.mark.slow
def test_verify_tells_a_cloak_from_a_copy(home: Home, cloaked: Cloaked, portrait: Path, tmp_path: Path) -> None:
    published = cloaked.photos["astronaut.png"]["published"]
    good = home.run("verify", portrait, published)
    assert good.returncode == 0, good.stderr
    assert "protected: 1 face protected: not linked by 2 judges of 2 families and 3 attacked" in good.stdout
    assert "dlib-resnet" in good.stdout
    copy = tmp_path / "copy.jpg"
    Image.open(portrait).save(copy, quality=95)
    bad = home.run("verify", portrait, copy, "--json")
    assert bad.returncode == 4
    assert json.loads(bad.stdout)["verdict"]["protected"] is False


@pytest.mark.slow
def test_verify_of_photos_without_a_face_shows_nothing(home: Home, tmp_path: Path) -> None:
    photo = tmp_path / "plain.png"
    Image.new("RGB", (120, 90), (90, 120, 60)).save(photo)
    answer = home.run("verify", photo, photo)
    assert answer.returncode == 5, answer.stderr
    assert "no face" in answer.stdout
    told = json.loads(home.run("verify", photo, photo, "--json").stdout)["verdict"]
    assert (told["verdict"], told["protected"], told["faces_found"]) == ("no-face", False, 0)


@pytest.mark.slow
def test_a_face_is_moved_where_that_is_asked_for_and_that_counts_as_seen(
    home: Home, portrait: Path, tmp_path: Path
) -> None:
    with Image.open(portrait) as image:
        image.crop((130, 20, 330, 260)).resize((1000, 1200)).save(tmp_path / "large.png")
    settings = ("--attack", "veil", "--strength", "balanced", "--set", "steps=4", "--set", "flow=0.015")
    settings += ("--policy", "feeble", "--json")
    answer = home.run("cloak", tmp_path / "large.png", "-o", tmp_path / "out", *settings)
    (found,) = json.loads(answer.stdout)["photos"]
    (face,) = found["verdict"]["faces"]
    assert 0.004 < face["moved"] <= 0.0151
    assert face["jod_zoom"] < 9.5  # what was added alone leaves more


def test_verify_refuses_another_photo(home: Home, portrait: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (100, 80)).save(other)
    answer = home.run("verify", portrait, other)
    assert answer.returncode == 1
    assert "different sizes (512 x 512 and 100 x 80)" in answer.stderr


def test_sigterm_ends_the_processes_and_empties_the_spool(home: Home, portrait: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home.root), "UNCNN_MODELS": str(home.models)}
    environment |= {"UNCNN_STATE": str(state)}
    command = [str(PROGRAM), "cloak", str(portrait), "-o", str(tmp_path / "out"), "--set", "steps=5000"]
    (state / "spool" / "tmpleft").mkdir(parents=True)  # of a command that was killed
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline, children = time.monotonic() + 300, list[str]()
        while not list((state / "spool").glob("*/*")) or len(children) < 2:  # the photo is in work
            assert time.monotonic() < deadline, children
            time.sleep(0.1)
            children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        running.terminate()
        assert running.wait(120) == 128 + signal.SIGTERM
    assert list((state / "spool").iterdir()) == []
    deadline = time.monotonic() + 120
    while alive := [child for child in children if Path(f"/proc/{child}").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--attack", "pdg"], "choose one of boundary, cw, "),
        (["--set", "restarts"], "name=value"),
        (["--policy", "nobody"], "everyday"),
        (["--licence", "pirate"], "permissive or research"),
    ],
)
def test_wrong_options_are_named(home: Home, portrait: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    answer = home.run("cloak", portrait, "-o", tmp_path / "out", *arguments)
    assert answer.returncode == 2, answer.stderr
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["bold", "everyday"], "everyday"), (["bold"], "bold"), ([], None), (["bold", "calm"], SettingsError)],
)
def test_the_policy_that_is_not_named_is_everyday(names: list[str], chosen: str | type[Exception] | None) -> None:
    config = Config(policies={name: Policy() for name in names})
    if isinstance(chosen, type):
        with pytest.raises(chosen, match="name a policy with --policy: one of bold, calm"):
            named_policy(config, None)
    else:
        assert usual_policy(config) == chosen


def test_a_command_without_a_policy_to_go_by_takes_any(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("policies: {bold: {attack: {strength: utmost}}, calm: {}}\n")
    with pytest.raises(SettingsError):
        settings_for(file, None, None, None, None, None, None)
    settings = settings_for(file, None, None, None, None, None, None, any_policy=True)
    assert settings.policy.attack.strength == "utmost"
