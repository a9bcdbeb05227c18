"""`uncnn-daemon models` as a person runs it: pull, list, check, remove, and a cloak that finds what was pulled."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from models_home import PROGRAM, ModelsHome, some_people, type_at

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import read_card, write_card

NAMES = ("mobileface-v2", "openvino-0095", "retinaface-mobilenet0.25")
RECOGNISERS = NAMES[:2]
WITHOUT = "uncalibrated"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def pulled(shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelsHome, str, str]:
    """Return a home with two recognisers and the detector, and what pulling them printed, on both outputs."""
    home = ModelsHome(tmp_path_factory.mktemp("home"))
    handler = partial(Quiet, directory=str(shared_models / "upstream"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_address[1]}"
        answer = home.run("models", "pull", *NAMES, "--force", UNCNN_MIRROR=mirror)
        server.shutdown()
    assert answer.returncode == 0, answer.stderr
    return home, answer.stdout, answer.stderr


@pytest.fixture(scope="module")
def home(detector_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelsHome:
    """Return a home that has two recognisers of its own, and a detector that is exported for the verifier."""
    made = ModelsHome(tmp_path_factory.mktemp("home")).having(detector_folder)
    for name in RECOGNISERS:
        shutil.copytree(EMBEDDED / name, made.models / name)
    return made


@pytest.fixture
def copy(home: ModelsHome, tmp_path: Path) -> ModelsHome:
    """Return a home of its own with the same models."""
    shutil.copytree(home.models, tmp_path / "data" / "uncnn" / "models")
    return ModelsHome(tmp_path)


def test_a_pull_says_what_came_and_where_it_is(pulled: tuple[ModelsHome, str, str]) -> None:
    home, output, news = pulled
    assert f"mobileface-v2: installed -> {home.models / 'mobileface-v2'}" in output
    assert output.splitlines()[-1] == "3 models: 3 installed"
    assert "mobileface-v2-0000.params: downloading, 3.6 MB" in news
    assert "openvino-0095: converting and checking" in news
    assert "\x1b" not in output + news, "no bars where there is no terminal"


def test_a_second_pull_has_nothing_to_do(pulled: tuple[ModelsHome, str, str]) -> None:
    code, answer = pulled[0].json("models", "pull", *NAMES, "--mirror", "http://127.0.0.1:9")
    assert code == 0
    assert [model["status"] for model in answer["models"]] == ["present"] * 3


@pytest.mark.slow
def test_a_terminal_shows_a_bar_for_each_file(shared_models: Path, tmp_path: Path) -> None:
    upstream = str(shared_models / "upstream")
    command = [str(PROGRAM), "models", "pull", "retinaface-mobilenet0.25", "--from", upstream]
    code, shown = type_at(command, ModelsHome(tmp_path).environment(TERM="xterm"), [])
    assert code == 0, shown
    assert "retinaface-mobilenet0.25.pth" in shown
    assert "━" in shown
    assert "coming" not in shown
    assert "installed" in shown


def test_the_list_shows_what_is_there(home: ModelsHome) -> None:
    answer = home.run("models", "list")
    assert answer.returncode == 0, answer.stderr
    rows = {line.split()[0]: line.split() for line in answer.stdout.splitlines()}
    assert " ".join(rows["openvino-0095"]) == "openvino-0095 judge openvino any use 2.6 MB 99.55% small yes yes"
    assert rows["retinaface-resnet50"][-1] == "no"
    assert rows["mobilefacenet-foamliu"][-2:] == ["with", "uncnn"]
    assert "mobilefacenet-y1" not in rows
    assert "more for research only: --all lists them" in answer.stdout
    assert "mobilefacenet-y1" in home.run("models", "list", "--all").stdout
    _, content = home.json("models", "list", "--licence", "research")
    models = {model["name"]: model for model in content["models"]}
    assert content["licences"] == ["permissive", "research"]
    assert models["mobileface-v2"]["installed"] == str(home.models / "mobileface-v2")
    assert models["w600k_r50"]["installed"] is None
    assert models["w600k_r50"]["exercised"] is False


def test_the_list_is_light(home: ModelsHome) -> None:
    code = (
        "import sys; sys.argv = ['uncnn-daemon', 'models', 'list']\n"
        "from uncnn.daemon.cli.entry import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'onnx', 'onnxruntime', 'httpx'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=home.environment(), capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name the models (uncnn-daemon models list lists them), or give --pack small, strong or all"),
        (["esp-mfn", "--pack", "small"], 2, "name the models"),
        (["--pack", "large"], 2, "--pack large: choose one of small, strong, all"),
        (["esp-mfm"], 1, "the catalog has no model 'esp-mfm': did you mean esp-mfn?"),
        (["esp-mfn", "--from", "/missing"], 2, "--from /missing: there is no such folder"),
        (["mobilefacenet-y1"], 1, "for research use only"),
        (["esp-mfn", "--licence", "pirate"], 2, "choose permissive or research"),
        (["esp-mfn", "--force", "--from", "/"], 1, "is not there; put it there under this name"),
    ],
)
def test_what_cannot_be_pulled_is_told(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    answer = ModelsHome(tmp_path).run("models", "pull", *arguments)
    assert answer.returncode == code, answer
    assert words in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_configuration_accepts_licences(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("version: 1\nmodels: {licences: [permissive, research]}\n")
    (tmp_path / "from").mkdir()
    home = ModelsHome(tmp_path)
    arguments = ("models", "pull", "mobilefacenet-y1", "--from", tmp_path / "from")
    assert home.json(*arguments)[1]["models"][0]["status"] == "refused"
    code, answer = home.json(*arguments, "--config", tmp_path / "config.yaml")
    assert (code, answer["models"][0]["status"]) == (1, "failed"), "accepted, and the folder is empty"


@pytest.mark.slow
def test_check_finds_what_is_right(home: ModelsHome, shared_data: Path, tmp_path: Path) -> None:
    faces = some_people(shared_data / "lfw" / "identities", tmp_path / "faces", 24, 2)
    code, answer = home.json("models", "check", "mobileface-v2", "retinaface-mobilenet0.25", "--faces", faces)
    assert code == 0, answer
    detector, recogniser = answer["models"]
    assert detector["name"] == "retinaface-mobilenet0.25"
    found = {finding["what"]: finding["detail"] for finding in recogniser["findings"]}
    assert found["any batch"] == "24 at once as each alone"
    assert "on 24 faces" in found["torch = ONNX Runtime"]
    assert float(found["accuracy"].split("%")[0]) > 90


@pytest.mark.slow
def test_check_finds_what_is_wrong(copy: ModelsHome) -> None:
    (copy.models / "mobileface-v2" / "model.onnx").write_bytes(b"half")
    (copy.models / "openvino-0095" / "card.yaml").write_text("name: openvino-0095\n")
    (copy.models / "retinaface-mobilenet0.25.pth").write_bytes(b"half")
    code, answer = copy.json("models", "check", *NAMES)
    assert code == 4
    listed = copy.run("models", "list")
    assert listed.returncode == 0
    assert "not used: left out: " in listed.stdout
    assert "openvino-0095/card.yaml: " in listed.stdout
    assert "missing; add it" in listed.stdout
    faults = {
        model["name"]: next(finding["detail"] for finding in model["findings"] if not finding["sound"])
        for model in answer["models"]
        if not model["sound"]
    }
    assert "install mobileface-v2 again" in faults["mobileface-v2"]
    assert "missing; add it" in faults["openvino-0095"]
    assert "but the catalog says 5f88f7957d9eaef8" in faults["retinaface-mobilenet0.25"]
    assert copy.run("models", "check", "nobody").returncode == 1


def test_remove_touches_only_what_is_uncnns(copy: ModelsHome, home: ModelsHome) -> None:
    for arguments, code, words in [
        ([], 2, "name the models to remove"),
        (["mobileface-v2"], 2, "add --yes to remove them"),
        (["mobileface-v2", "nobody", "--yes"], 1, "nobody: not installed"),
    ]:
        answer = copy.run("models", "remove", *arguments)
        assert (answer.returncode, words in answer.stderr) == (code, True), answer
    elsewhere = copy.run("models", "remove", "mobileface-v2", "--yes", UNCNN_MODELS=str(home.models))
    assert elsewhere.returncode == 1
    assert f"lies in {home.models / 'mobileface-v2'}, which is not uncnn's to change" in elsewhere.stderr
    assert (copy.models / "mobileface-v2" / "model.onnx").is_file()
    weights = copy.models / "retinaface-mobilenet0.25.pth"
    exported = weights.with_name(f"{weights.stem}-0123456789abcdef-1.onnx")
    for file in (weights, exported):
        file.write_bytes(b"of a detector")
    code, answer = copy.json("models", "remove", "mobileface-v2", "retinaface-mobilenet0.25", "--yes")
    assert code == 0
    assert [Path(path).name for path in answer["removed"]][:2] == ["mobileface-v2", "retinaface-mobilenet0.25.pth"]
    assert "openvino-0095" in {path.name for path in copy.models.iterdir()}
    assert not (copy.models / "mobileface-v2").exists()
    assert not weights.exists()
    assert not exported.exists(), "what was exported from the weights goes with them"
    assert (home.models / "mobileface-v2" / "model.onnx").is_file()


@pytest.mark.slow
def test_a_cloak_takes_what_was_pulled(copy: ModelsHome, tmp_path: Path) -> None:
    skimage = pytest.importorskip("skimage")
    from PIL import Image

    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "astronaut.png")
    folder = Path(shutil.copytree(copy.models / "openvino-0095", copy.models / WITHOUT))
    write_card(read_card(folder).model_copy(update={"name": WITHOUT, "thresholds": {}, "intervals": None}), folder)
    policy = "{attack: {name: pgd, strength: subtle, steps: 1}, escalate: [], unprotected: publish-anyway}"
    (tmp_path / "config.yaml").write_text(f"version: 1\ndevice: cpu\npolicies: {{everyday: {policy}}}\n")
    options = ("--config", tmp_path / "config.yaml", "--json")
    answer = copy.run("cloak", tmp_path / "astronaut.png", "-o", tmp_path / "out", *options)
    (photo,) = json.loads(answer.stdout)["photos"]
    assert photo["status"] == "published", photo["message"]
    (face,) = (face for face in photo["verdict"]["faces"] if face["required"])
    roles = {judgement["recogniser"]: judgement["role"] for judgement in face["judgements"]}
    attacked = dict.fromkeys(("mobileface-v2", "mobilefacenet-foamliu", "esp-mfn"), "surrogate")
    assert roles == {**attacked, "openvino-0095": "judge", "dlib-resnet": "judge"}
    assert answer.stderr.count("uncalibrated has no thresholds") == 1
    assert "uncnn-daemon models calibrate uncalibrated --faces FOLDER" in answer.stderr
    listed = copy.run("models", "list").stdout
    assert "no thresholds: uncnn-daemon models calibrate uncalibrated" in listed
