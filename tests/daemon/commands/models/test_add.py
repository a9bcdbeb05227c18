"""`models add` and `models calibrate`: a recogniser of one's own, by options, by a person's answers, and in error."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from models_home import PROGRAM, ModelsHome, some_people, type_at

from uncnn.daemon.commands.models.questions import Shape, about, answers
from uncnn.daemon.settings import SettingsError
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import TEMPLATES, check_model, read_card

PLAIN = ("--role", "judge", "--order", "RGB", "--mean", "127.5", "--std", "128,128,128", "--metric", "cosine")
LICENCE = ("--licence-name", "MIT", "--licence-use", "permissive")


@pytest.fixture(scope="module")
def home(detector_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelsHome:
    """Return a home with the detector alone."""
    return ModelsHome(tmp_path_factory.mktemp("home")).having(detector_folder)


@pytest.fixture(scope="module")
def faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return some_people(shared_data / "lfw" / "identities", tmp_path_factory.mktemp("photos") / "faces", 24, 2)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an ONNX file of a user's own, under a name that has to be mended."""
    path = tmp_path_factory.mktemp("own") / "my net (v2).onnx"
    return Path(shutil.copy(EMBEDDED / "mobileface-v2" / "model.onnx", path))


@pytest.mark.slow
def test_a_model_is_added_by_options_and_calibrated(home: ModelsHome, own: Path, faces: Path) -> None:
    options = (*PLAIN, *LICENCE, "--template", "arcface-112", "--calibrate", faces)
    code, answer = home.json("models", "add", own, *options)
    assert code == 0
    assert answer["name"] == "my-net-v2-"
    folder = Path(answer["installed"])
    assert folder == home.models / "my-net-v2-"
    card = read_card(folder)
    check_model(folder, card)
    assert (card.role, card.embedding, card.template) == ("judge", 256, TEMPLATES["arcface-112"])
    assert (card.input.height, card.input.width, card.input.order) == (112, 112, "RGB")
    assert (card.input.mean, card.input.std) == ((127.5,) * 3, (128.0,) * 3)
    assert (card.licence.name, card.licence.use) == ("MIT", "permissive")
    assert card.source is not None
    assert card.source.file == own.name
    assert card.parity is not None
    assert answer["calibration"]["people"] == 24
    assert answer["calibration"]["accuracy"] > 0.9
    assert list(answer["calibration"]["thresholds"]) == ["1e-2"]
    assert "1e-3" in " ".join(answer["calibration"]["notes"]), "too few pairs for it, which is said"
    assert card.threshold(1e-2) == answer["calibration"]["thresholds"]["1e-2"]["value"]
    assert card.calibrated_on.startswith("faces: 24 people, 48 faces")
    row = next(line for line in home.run("models", "list").stdout.splitlines() if line.startswith("my-net-v2-"))
    assert row.split()[1:] == ["judge", "onnx", "any", "use", "3.5", "MB", "-", "own", "-", "yes"]


@pytest.mark.slow
def test_without_a_terminal_everything_that_is_missing_is_named_at_once(home: ModelsHome, own: Path) -> None:
    answer = home.run("models", "add", own, "--name", "nameless", "--role", "judge")
    assert answer.returncode == 2
    assert "there is no terminal to ask: give these options, or --yes to use the usual values" in answer.stderr
    named = {line.split(":")[0].strip() for line in answer.stderr.splitlines()[1:]}
    assert named == {"--template", "--order", "--mean", "--std", "--metric", "--licence-name", "--licence-use"}
    assert not (home.models / "nameless").exists()


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("template", "dlib-150", "--template dlib-150: give five points for an input of 112 x 112"),
        ("template", "1,1 2,2 3,3 4,4 5,112", "every point must lie inside the input, 112 x 112"),
        ("template", "1,1 2,2 3,3 4,4 5,x", "could not convert string to float"),
        ("std", "-1", "--std -1: give numbers above zero"),
        ("mean", "1,2", "give one number, or three with commas between"),
        ("order", "rgb", "give one of RGB, BGR"),
        ("licence-use", "any", "give one of permissive, research"),
    ],
)
def test_an_option_that_cannot_be_is_told(tmp_path: Path, option: str, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        answers(about(Shape(112, 112, 512), Path("a.onnx"), tmp_path), {option: text}, yes=True, ask=False)
    assert words in str(caught.value)


def test_what_is_usual_follows_from_the_graph(tmp_path: Path) -> None:
    said = answers(about(Shape(112, 96, 128), Path("a.onnx"), tmp_path), {}, yes=True, ask=False)
    assert said["template"] == TEMPLATES["sphereface-112x96"]
    assert (said["mean"], said["std"], said["licence-use"]) == ((127.5,) * 3, (127.5,) * 3, "research")
    inside = about(Shape(128, 128, 256, normalises_inside=True), Path("a.xml"), tmp_path)
    said = answers(inside, {"order": "BGR"}, yes=True, ask=False)
    assert (said["mean"], said["std"], said["order"]) == ((0.0,) * 3, (1.0,) * 3, "BGR")
    with pytest.raises(
        SettingsError, match=r"--template: .* five points; ArcFace's, stretched to this size, would be 54"
    ):
        answers(about(Shape(160, 160, 512), Path("a.pt"), tmp_path), {}, yes=True, ask=False)


@pytest.mark.slow
def test_a_person_is_asked_and_may_answer_wrongly_first(home: ModelsHome, shared_models: Path) -> None:
    upstream = shared_models / "upstream"
    files = [str(upstream / name) for name in ("mobileface-v2-0000.params", "mobileface-v2-symbol.json")]
    typed = [
        ("name [mobileface-v2-0000]:", "mobilefacenet-y1"),
        ("give another --name, or pull it", "asked"),
        ("role [surrogate]:", "boss"),
        ("give one of surrogate, judge", ""),
        ("template [arcface-112]:", "1,1 2,2"),
        ("give five points for an input of 112 x 112", ""),
        ("order [RGB]:", ""),
        ("mean [127.5]:", "a"),
        ("could not convert", ""),
        ("std [128]:", "0"),
        ("give numbers above zero", "128"),
        ("metric [cosine]:", ""),
        ("licence-name [none stated]:", ""),
        ("licence-use [research]:", ""),
    ]
    environment = home.environment(TERM="xterm")
    code, shown = type_at([str(PROGRAM), "models", "add", *files], environment, typed)
    assert code == 0, shown
    assert "surrogate: is attacked, so that similar recognisers are fooled too" in shown
    words = " ".join(shown.split())
    assert "asked has no thresholds, so that nothing can be said against it, and it is left out" in words
    assert "uncnn-daemon models calibrate asked --faces FOLDER" in words
    card = read_card(home.models / "asked")
    assert (card.role, card.licence.use, card.thresholds) == ("surrogate", "research", {})
    assert (card.input.mean, card.input.std) == ((127.5,) * 3, (128.0,) * 3)


@pytest.mark.slow
def test_thresholds_are_measured_and_written(home: ModelsHome, own: Path, faces: Path) -> None:
    added = home.run("models", "add", own, "--name", "later", "--yes", "--std", "128")
    assert added.returncode == 0, added.stderr
    assert "later has no thresholds" in added.stdout
    assert home.json("models", "check", "later")[0] == 4, "without thresholds it cannot be used"
    code, answer = home.json("models", "calibrate", "later", "--faces", faces, "--called", "a few people")
    assert code == 0, answer
    card = read_card(home.models / "later")
    assert card.calibrated_on.startswith("a few people: 24 people, 48 faces")
    assert card.intervals is not None
    low, high = card.intervals[1e-2]
    assert low <= card.thresholds[1e-2] <= high


def test_only_uncnns_own_models_are_calibrated(home: ModelsHome, tmp_path: Path) -> None:
    answer = home.run("models", "calibrate", "esp-mfn", "--faces", tmp_path)
    assert answer.returncode == 1
    assert f"esp-mfn lies in {EMBEDDED / 'esp-mfn'}, which is not uncnn's to change" in answer.stderr
    assert f"copy that folder to {home.models / 'esp-mfn'}" in answer.stderr
    assert home.run("models", "calibrate", "--faces", tmp_path).returncode == 2
    unknown = home.run("models", "calibrate", "nobody", "--faces", tmp_path)
    assert "nobody: not installed" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.onnx"], 2, "missing.onnx: there is no such file"),
        (
            ["{folder}/text.dat2"],
            2,
            "the file extension does not tell the format; give --format checkpoint, mxnet, openvino",
        ),
        (["{folder}/text.dat2", "--format", "keras"], 2, "--format keras: choose one of checkpoint, mxnet"),
        (["{folder}/text.onnx", "--yes"], 1, "text.onnx"),
        (
            ["{own}", "--name", "edgeface-xxs"],
            1,
            "edgeface-xxs is a model of the catalog: give another --name, or pull it",
        ),
        (["{own}", "--name", "../evil"], 1, "../evil: a name is letters, digits"),
        (["{own}", "--yes", "--calibrate", "/missing"], 2, "--calibrate /missing: there is no such folder"),
    ],
)
def test_what_cannot_be_added_is_told(tmp_path: Path, own: Path, arguments: list[str], code: int, words: str) -> None:
    for name in ("text.dat2", "text.onnx"):
        (tmp_path / name).write_text("This is no model.")
    answer = ModelsHome(tmp_path).run(
        "models", "add", *(argument.format(folder=tmp_path, own=own) for argument in arguments)
    )
    assert answer.returncode == code, answer
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not list((tmp_path / "data").rglob("card.yaml"))


@pytest.mark.slow
def test_an_mxnet_model_is_fed_as_its_file_says(home: ModelsHome, shared_models: Path) -> None:
    files = [shared_models / "upstream" / f"mobilefacenet-y1-{part}" for part in ("0000.params", "symbol.json")]
    code, answer = home.json("models", "add", *files, "--name", "y1-of-mine", "--yes")
    assert code == 0
    card = read_card(Path(answer["installed"]))
    assert (card.input.mean, card.input.std) == ((127.5,) * 3, (128.0,) * 3)
    assert card.licence.use == "research", "nobody stated more"
