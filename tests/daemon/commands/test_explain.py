"""`explain` with the real processes: who is in the gallery is named, and a copy is explained beside its photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from colour_classifier import NAMES, colour_classifier
from models_home import ModelsHome
from PIL import Image

from uncnn.daemon.commands.explain import Wanted


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a portrait, a lighter one, a blank photo, and people of whom one is shown twice."""
    skimage = pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("photos")
    portrait = np.asarray(skimage.data.astronaut())
    people = folder / "people"
    (people / "Ada").mkdir(parents=True)
    for name, pixels in (
        ("photo.png", portrait),
        ("copy.png", (portrait * 0.9).astype(np.uint8)),
        ("blank.png", np.full((64, 64, 3), 200, np.uint8)),
        ("people/Ada/1.png", portrait[:256, 100:356]),
        ("people/Twins.png", np.concatenate([portrait[:200, 130:330]] * 2, axis=1)),
    ):
        Image.fromarray(pixels).save(folder / name)
    (people / "Broken.png").write_bytes(b"no photo")
    return folder


def test_a_copy_of_the_same_name_is_called_by_its_folder_too() -> None:
    photo = Path("in/a.jpg")
    assert Wanted(photo, None, None, None, False).titles == ["a.jpg"]
    assert Wanted(photo, None, Path("x/out/a.jpg"), None, False).titles == ["a.jpg", "out/a.jpg"]
    assert Wanted(photo, None, Path("x/out/b.jpg"), None, False).titles == ["a.jpg", "b.jpg"]


@pytest.mark.slow
def test_a_photo_and_its_copy_are_explained(photos: Path, own_detector_folder: Path, tmp_path: Path) -> None:
    home = ModelsHome(tmp_path / "home").having(own_detector_folder)
    picture = tmp_path / "made.png"
    status, answer = home.json(
        *("explain", photos / "photo.png", "--gallery", photos / "people"),
        *("--against", photos / "copy.png", "-o", picture),
    )
    assert status == 0
    (face,) = answer["faces"]
    assert face["found_again"] is True
    assert {each["recogniser"] for each in face["answers"]} == {"dlib-resnet", "openvino-0095"}
    for each in face["answers"]:
        assert each["names"] == 1001
        assert each["original"]["candidates"][0]["name"] == "Ada"
        assert each["original"]["candidates"][0]["confidence"] > 0.9
        assert each["original"]["named"] is True
        assert each["copy"]["candidates"][0]["name"] == "Ada"
    broken, twins = answer["notes"]
    assert broken.startswith(f"left out: {photos}/people/Broken.png: ")
    assert twins == f"left out: {photos}/people/Twins.png shows 2 faces: use photos that show one person alone"
    with Image.open(picture) as image:
        assert image.format == "PNG"
    assert list((home.root / "state").rglob("*.comparison")) == []

    said = home.run("explain", photos / "photo.png", "--all")
    assert said.returncode == 0
    for words in ("none of these", "all others", "esp-mfn", "nobody is enrolled"):
        assert words in said.stdout

    blank = home.run("explain", photos / "blank.png", "-o", tmp_path / "none.png")
    assert blank.returncode == 5
    assert "no face was found" in blank.stdout
    assert not (tmp_path / "none.png").exists()


@pytest.mark.slow
def test_what_cannot_be_is_refused_and_nothing_overwritten(
    photos: Path, own_detector_folder: Path, tmp_path: Path
) -> None:
    home = ModelsHome(tmp_path / "home").having(own_detector_folder)
    before = (photos / "photo.png").read_bytes()
    for more, status, words in (
        (("-o", photos / "photo.png"), 2, "is one of the photos"),
        (("-o", tmp_path / "made.jpg"), 2, "ends in .png"),
        (("--gallery", tmp_path / "none"), 1, "--gallery"),
        (("--against", photos / "blank.png"), 2, "512 x 512 and 64 x 64 pixels"),
    ):
        answer = home.run("explain", photos / "photo.png", *more)
        assert (answer.returncode, words in answer.stderr) == (status, True), answer
    assert (photos / "photo.png").read_bytes() == before


@pytest.mark.slow
def test_a_classifier_of_the_users_own_is_asked_too(photos: Path, own_detector_folder: Path, tmp_path: Path) -> None:
    home = ModelsHome(tmp_path / "home").having(own_detector_folder)
    (tmp_path / "mine.onnx").write_bytes(colour_classifier())
    (tmp_path / "mine.txt").write_text("\n".join(NAMES))
    own = ("--classifier", tmp_path / "mine.onnx", "--names", tmp_path / "mine.txt")
    picture = tmp_path / "made.png"
    copy = ("--against", photos / "copy.png")
    status, answer = home.json("explain", photos / "photo.png", *copy, *own, "-o", picture)
    assert status == 0
    (face,) = answer["faces"]
    mine = face["answers"][-1]
    assert (mine["recogniser"], mine["role"], mine["metric"], mine["names"]) == (
        "mine.onnx",
        "classifier",
        "softmax",
        3,
    )
    for found in (mine["original"], mine["copy"]):
        assert {each["name"] for each in found["candidates"]} == set(NAMES)
        assert sum(each["confidence"] for each in found["candidates"]) == pytest.approx(1)
        assert found["nobody"] is None
    with Image.open(picture) as image:
        assert image.format == "PNG"
    said = home.run("explain", photos / "photo.png", *own)
    assert "mine.onnx: chances among the 3 names it knows (softmax): it must name one of them" in " ".join(
        said.stdout.split()
    )
    (tmp_path / "mine.txt").write_text("Ada")
    refused = home.run("explain", photos / "photo.png", *own)
    assert refused.returncode == 1
    assert "gives 3 numbers, but there are 1 names" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--classifier", "mine.onnx"), "--classifier and --names belong together"),
        (("--names", "mine.txt"), "--classifier and --names belong together"),
        (("--classifier", "a.onnx", "--names", "a.txt", "--order", "GRB"), "--order GRB: use RGB or BGR"),
    ],
)
def test_options_of_a_classifier_that_do_not_fit_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    refused = ModelsHome(tmp_path).run("explain", "photo.png", *arguments)
    assert refused.returncode == 2
    assert words in " ".join(refused.stderr.split())
