"""What comes with uncnn, alone: a new user's home, nothing pulled, no folder of models named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from models_home import ModelsHome
from PIL import Image

from uncnn.exporters.pulling.pull import card_of
from uncnn.exporters.registry.catalog import RecogniserEntry, read_catalog
from uncnn.exporters.registry.detectors import OWN_ONNX, SECOND_ONNX
from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.recognisers.cards import Card, check_model, read_card

SURROGATES = {"mobilefacenet-foamliu", "mobileface-v2", "esp-mfn"}
JUDGES = {"dlib-resnet", "openvino-0095"}
NAMES = SURROGATES | JUDGES
LICENCES = {"Apache-2.0": "Apache License", "MIT": "MIT License", "CC0": "CC0 1.0 Universal"}
MEASURED = {"sha256", "parity", "accuracy", "source", "confidence"}
"""By the conversion and the calibration, or compared by itself."""


@pytest.fixture(scope="module")
def home(own_detector_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelsHome:
    return ModelsHome(tmp_path_factory.mktemp("home")).having(own_detector_folder)


def entry_of(name: str) -> RecogniserEntry:
    (entry,) = read_catalog().named([name])
    assert isinstance(entry, RecogniserEntry)
    return entry


def described(card: Card) -> dict[str, object]:
    """Return what a card says that neither a conversion nor a calibration measures."""
    return card.model_dump(exclude=MEASURED)


def test_each_recogniser_has_its_card_licence_and_attribution_and_nothing_else() -> None:
    folders = {path.name for path in EMBEDDED.iterdir() if path.is_dir()}
    assert folders == {*NAMES, Path(OWN_DETECTOR).parent.name, Path(SECOND_ONNX).parent.name}
    for name in NAMES:
        files = {"model.onnx", "card.yaml", "strangers.npz", "LICENSE", "NOTICE"}
        assert {file.name for file in (EMBEDDED / name).iterdir()} == files


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_licence_is_the_cards_and_the_notice_says_whose_it_is(name: str) -> None:
    card, notice = read_card(EMBEDDED / name), (EMBEDDED / name / "NOTICE").read_text()
    licence = next(text for short, text in LICENCES.items() if card.licence.name.startswith(short))
    assert licence in (EMBEDDED / name / "LICENSE").read_text()
    assert card.licence.use == "permissive"
    assert notice.startswith(f"{name}: ")
    assert "https://github.com/" in notice
    assert "Changed: " in notice, "Apache-2.0 asks for that"
    assert card.source is not None
    assert card.source.commit is not None
    assert card.source.commit in notice
    page = (EMBEDDED / "README.md").read_text()
    assert re.search(rf"^\| \[{re.escape(name)}\]\({re.escape(name)}/NOTICE\)", page, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_card_says_where_its_thresholds_come_from(name: str) -> None:
    card = read_card(EMBEDDED / name)
    assert set(card.thresholds) == {1e-2, 1e-3, 1e-4}
    assert "4,495,368 cross-identity pairs" in card.calibrated_on
    assert card.intervals is not None
    assert set(card.intervals) == {1e-2, 1e-3, 1e-4}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_it_is_what_a_pull_of_the_catalog_gives(name: str) -> None:
    card, entry = read_card(EMBEDDED / name), entry_of(name)
    check_model(EMBEDDED / name, card)
    assert card.parity is not None
    assert card.parity <= 1e-4
    assert described(card) == described(card_of(entry))
    assert card.source is not None
    assert card.source == card_of(entry).source
    assert card.accuracy.items() >= entry.accuracy.items()
    assert card.role == ("judge" if name in JUDGES else "surrogate")


def test_the_detector_is_small() -> None:
    assert {file.name for file in EMBEDDED.iterdir() if file.is_file()} == {"README.md"}
    folder = (EMBEDDED / OWN_DETECTOR).parent
    files = {Path(OWN_DETECTOR).name, Path(OWN_ONNX).name, "LICENSE", "NOTICE"}
    assert {file.name for file in folder.iterdir()} == files
    assert all((folder / name).stat().st_size <= 2e6 for name in files)
    assert "MIT License" in (folder / "LICENSE").read_text()


def test_two_judges_of_two_families_come_with_uncnn() -> None:
    assert len({read_card(EMBEDDED / name).family.split()[0] for name in JUDGES}) == len(JUDGES) == 2


@pytest.mark.slow
def test_they_are_listed_sound_and_not_to_be_removed(home: ModelsHome) -> None:
    code, answer = home.json("models", "list")
    listed = {model["name"]: model for model in answer["models"] if model["installed"]}
    assert code == 0
    assert set(listed) == {*NAMES, Path(OWN_DETECTOR).stem}
    assert all(model["problem"] is None for model in listed.values())
    assert home.run("models", "list").stdout.count("with uncnn") == len(listed)
    code, answer = home.json("models", "check")
    assert code == 0, answer
    assert {model["name"] for model in answer["models"]} == set(listed)
    refused = home.run("models", "remove", min(NAMES), "--yes")
    assert refused.returncode == 1
    assert "which is not uncnn's to change" in refused.stderr


def test_what_comes_with_uncnn_is_not_pulled_again(home: ModelsHome) -> None:
    code, answer = home.json("models", "pull", *sorted(NAMES), "--mirror", "http://127.0.0.1:9")
    assert code == 0
    assert {model["status"] for model in answer["models"]} == {"present"}
    assert all("comes with uncnn" in model["message"] for model in answer["models"])
    assert not {path.name for path in home.models.iterdir()} & NAMES


@pytest.mark.slow
def test_a_photo_is_cloaked_with_nothing_else(home: ModelsHome, tmp_path: Path) -> None:
    skimage = pytest.importorskip("skimage")
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "astronaut.png")
    answer = home.run("cloak", tmp_path / "astronaut.png", "-o", tmp_path / "out", "--json")
    assert answer.returncode == 0, answer.stderr
    (photo,) = json.loads(answer.stdout)["photos"]
    assert photo["status"] == "published"
    (face,) = (face for face in photo["verdict"]["faces"] if face["required"])
    roles = {judgement["recogniser"]: judgement["role"] for judgement in face["judgements"]}
    assert roles == {**dict.fromkeys(SURROGATES, "surrogate"), **dict.fromkeys(JUDGES, "judge")}
    assert (tmp_path / "out" / "astronaut.png").is_file()
