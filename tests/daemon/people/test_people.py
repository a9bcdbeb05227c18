"""People who are enrolled: real commands, dlib's recogniser, real photos of several people each."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from models_home import ModelsHome
from PIL import Image

from uncnn.daemon.people.store import PeopleError, read_people

pytestmark = pytest.mark.slow

RECOGNISERS = ["dlib-resnet", "esp-mfn", "mobileface-v2", "mobilefacenet-foamliu", "openvino-0095"]  # with uncnn
PERSON, STRANGER = "Adrien_Brody", "Ana_Guevara"


@pytest.fixture(scope="module")
def identities(shared_data: Path) -> Path:
    return shared_data / "lfw" / "identities"


@pytest.fixture(scope="module")
def home(identities: Path, own_detector_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelsHome:
    made = ModelsHome(tmp_path_factory.mktemp("home")).having(own_detector_folder)
    photos = [identities / PERSON / f"{PERSON}_{number:04}.jpg" for number in (1, 3, 6)]
    answer = made.run("people", "enroll", "Adrien", *photos)
    assert answer.returncode == 0, answer.stderr
    assert "enrolled Adrien with 3 photos" in answer.stdout
    both = [sorted((identities / name).glob("*.jpg"))[4] for name in (PERSON, STRANGER)]
    couple = Image.new("RGB", (500, 250))
    for place, photo in enumerate(both):
        couple.paste(Image.open(photo).convert("RGB").resize((250, 250)), (250 * place, 0))
    couple.save(made.root / "couple.png")
    return made


def cloaked(home: ModelsHome, who: str) -> dict[str, bool]:
    """Return which of the couple's faces, the left one first, is to be protected under the policy."""
    config = home.root / f"{who}.yaml"
    attack = "{name: pgd, strength: subtle, steps: 1}"
    config.write_text(f"policies: {{everyday: {{attack: {attack}, escalate: [], faces: {{who: {who}}}}}}}\n")
    out = home.root / who
    answer = home.run("cloak", home.root / "couple.png", "-o", out, "--config", config, "--device", "cpu", "--json")
    (photo,) = json.loads(answer.stdout)["photos"]
    faces = sorted(photo["verdict"]["faces"], key=lambda face: face["box"][0])
    assert [face["strength"] != "" for face in faces] == [face["required"] for face in faces]
    return dict(zip((PERSON, STRANGER), (face["required"] for face in faces), strict=True))


@pytest.mark.parametrize(
    ("who", "person", "stranger"),
    [("all", True, True), ("all-but-enrolled", False, True), ("only-enrolled", True, False)],
)
def test_whose_faces_are_cloaked_is_the_policys(home: ModelsHome, who: str, person: bool, stranger: bool) -> None:
    assert cloaked(home, who) == {PERSON: person, STRANGER: stranger}


def test_what_is_kept_is_private_and_holds_no_photo(home: ModelsHome) -> None:
    file = home.root / "state" / "people" / "people.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (person,) = read_people(file).people
    assert [len(template.embeddings) for template in person.templates] == [3] * len(RECOGNISERS)
    code, answer = home.json("people", "list")
    assert code == 0
    assert [(each["name"], each["photos"], sorted(each["recognisers"])) for each in answer["people"]] == [
        ("Adrien", 3, RECOGNISERS)
    ]
    assert [each["consented"] for each in answer["people"]] == [None]


def test_a_photo_that_shows_others_too_enrolls_nobody(home: ModelsHome) -> None:
    before = (home.root / "state" / "people" / "people.json").read_bytes()
    answer = home.run("people", "enroll", "Both", home.root / "couple.png")
    assert answer.returncode == 1
    assert "couple.png shows 2 faces: use photos that show only Both" in answer.stderr
    assert (home.root / "state" / "people" / "people.json").read_bytes() == before


def test_where_nobody_is_enrolled_everybody_is_cloaked(home: ModelsHome) -> None:
    answer = home.run("people", "forget", "Nobody")
    assert answer.returncode == 1
    assert "'Nobody' is not enrolled: Adrien" in answer.stderr
    assert home.run("people", "forget", "Adrien").returncode == 0
    assert "no one is enrolled" in home.run("people", "list").stdout
    assert cloaked(home, "only-enrolled") == {PERSON: True, STRANGER: True}


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "people.json").write_text("{")
    with pytest.raises(PeopleError, match="damaged; enroll the people again"):
        read_people(tmp_path / "people.json")


def test_only_who_consented_may_be_a_target(home: ModelsHome, identities: Path) -> None:
    photo = sorted((identities / STRANGER).glob("*.jpg"))[0]
    aimed = ["cloak", photo, "-o", home.root / "aimed", "--set", "steps=2", "--set"]
    photos = [identities / PERSON / f"{PERSON}_{number:04}.jpg" for number in (1, 3, 6)]
    assert home.run("people", "enroll", "Adrien", *photos).returncode == 0
    for name, words in (("Adrien", "no record that this person consented"), ("Nobody", "nobody else is ever a target")):
        refused = home.run(*aimed, f"target={name}")
        assert refused.returncode == 1
        assert words in refused.stdout + refused.stderr
    assert home.run("people", "enroll", "Adrien", "--consent", *photos).returncode == 0
    assert home.json("people", "list")[1]["people"][0]["consented"]
    anyway = home.root / "anyway.yaml"
    anyway.write_text("policies: {everyday: {escalate: [], unprotected: publish-anyway}}\n")
    for more in ([], ["--set", "objective=gallery"]):
        answer = home.run(*aimed, "target=Adrien", *more, "--config", anyway)  # two steps need not be enough
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_photos_of_different_people_enroll_nobody(home: ModelsHome, identities: Path) -> None:
    """With `all-but-enrolled` the strangers among them would go bare."""
    before = (home.root / "state" / "people" / "people.json").read_bytes()
    strangers = [sorted((identities / name).glob("*.jpg"))[0] for name in (PERSON, STRANGER, "Angelina_Jolie")]
    answer = home.run("people", "enroll", "Three", *strangers)
    assert answer.returncode == 1
    assert (
        "seem to show different people (according to most recognisers): leave out photos that do not show Three"
        in answer.stderr
    )
    mixed = [*(identities / PERSON / f"{PERSON}_{number:04}.jpg" for number in (1, 3)), strangers[1]]
    answer = home.run("people", "enroll", "Mixed", *mixed)
    assert answer.returncode == 1
    assert f"{strangers[1]} seems to show another person than {mixed[0]}, {mixed[1]}" in answer.stderr
    assert (home.root / "state" / "people" / "people.json").read_bytes() == before
