"""Two versions of a photo side by side: the pictures and figures are those of the files, and nothing is overwritten."""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_home import ModelsHome
from PIL import Image

from uncnn.daemon.pictures.contact_sheet import AMPLIFIED
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.measuring import show
from uncnn.daemon.protect.messages import Show
from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Detector, UncnnError
from uncnn.plugins.detectors.retinaface_network import load_torch


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_torch(EMBEDDED / OWN_DETECTOR)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a portrait, and a copy whose left half is three grey levels lighter."""
    skimage = pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("photos")
    photo = np.asarray(skimage.data.astronaut()).clip(0, 252)
    copy = photo.copy()
    copy[:, :256] += 3
    for name, pixels in (("original.png", photo), ("copy.png", copy)):
        Image.fromarray(pixels).save(folder / name)
    return folder / "original.png", folder / "copy.png"


def shown(detector: Detector, original: Path, copy: Path, destination: Path, kind: Any) -> list[dict[str, Any]]:
    answer = show(detector, Show(Content(original), original.name, Content(copy), copy.name, kind))
    destination.write_bytes(answer.picture.read())
    return answer.regions


def test_the_picture_shows_the_photo_and_its_face(
    detector: Detector, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    whole, face = shown(detector, *versions, tmp_path / "made", "png")
    assert whole["name"] == "whole photo"
    assert whole["mean_255"] == pytest.approx(1.5)
    assert whole["p99_255"] == 3
    assert re.fullmatch(r"face at \d+,\d+", face["name"])
    assert 150 < face["box"][0] < 220
    with Image.open(tmp_path / "made") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[1] == 3 * (480 + 8) + 8
    first_row = pixels[30 : 30 + 480, -480 - 8 : -8]  # the change of the whole photo
    assert first_row[240, 100].tolist() == [128 + 3 * AMPLIFIED] * 3
    assert first_row[240, 400].tolist() == [128] * 3


def test_the_page_holds_every_picture_once_and_fetches_nothing(
    detector: Detector, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    shown(detector, *versions, tmp_path / "made", "html")
    text = (tmp_path / "made").read_text()
    pictures = re.findall(r"url\(data:image/png;base64,([^)]*)\)", text)
    assert len(pictures) == 6, "original, copy and change, of the photo and its face"
    with Image.open(BytesIO(base64.b64decode(pictures[1]))) as image, Image.open(versions[1]) as copy:
        assert np.array_equal(np.asarray(image), np.asarray(copy))
    rest = re.sub(r"url\(data:[^)]*\)", "", text)
    assert not re.search(r"https?:|<script|src=|href=", rest)
    assert "animation" in rest


def test_identical_photos_are_said_to_be_so(detector: Detector, versions: tuple[Path, Path], tmp_path: Path) -> None:
    regions = shown(detector, versions[0], versions[0], tmp_path / "made", "html")
    assert {one["psnr"] for one in regions} == {None}
    assert "identical" in (tmp_path / "made").read_text()


def test_photos_of_different_sizes_are_refused(detector: Detector, versions: tuple[Path, Path], tmp_path: Path) -> None:
    Image.new("RGB", (300, 200)).save(tmp_path / "small.png")
    with pytest.raises(UncnnError, match=r"different sizes \(512 x 512 and 300 x 200\)"):
        shown(detector, versions[0], tmp_path / "small.png", tmp_path / "made", "png")


@pytest.mark.slow
def test_the_command_writes_what_was_asked_for_and_overwrites_no_photo(
    versions: tuple[Path, Path], own_detector_folder: Path, tmp_path: Path
) -> None:
    home = ModelsHome(tmp_path / "home").having(own_detector_folder)
    status, answer = home.json("compare", *versions, "-o", tmp_path / "made.png")
    assert status == 0
    assert answer["subjects"][0]["name"] == "whole photo"
    assert answer["left_out"] == 0
    with Image.open(tmp_path / "made.png") as image:
        assert image.format == "PNG"
    assert list((home.root / "state").rglob("comparison*")) == []

    before = versions[0].read_bytes()
    over = home.run("compare", *versions, "-o", versions[0])
    assert over.returncode == 2
    assert "is one of the photos" in over.stderr
    assert versions[0].read_bytes() == before
    other = home.run("compare", *versions, "-o", tmp_path / "made.jpg")
    assert other.returncode == 2
    assert "ends in .png or .html" in other.stderr
    missing = home.run("compare", versions[0], tmp_path / "none.png", "-o", tmp_path / "made.html")
    assert missing.returncode == 1
    assert "none.png" in missing.stderr


@pytest.mark.slow
def test_a_test_for_people_is_made_of_two_folders(
    versions: tuple[Path, Path], own_detector_folder: Path, tmp_path: Path
) -> None:
    home = ModelsHome(tmp_path / "home").having(own_detector_folder)
    for folder, version, names in (
        ("originals", versions[0], ["one.png", "sub/two.png", "alike.png", "twice.png", "twice.jpg", "small.png"]),
        ("copies", versions[1], ["one.jpg", "one.webp", "sub/two.png", "twice.webp", "stranger.png"]),
    ):
        for name in names:
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(version) as image:
                image.save(file)
    Image.new("RGB", (60, 60)).save(tmp_path / "copies" / "small.png")
    with Image.open(versions[0]) as image:
        image.save(tmp_path / "copies" / "alike.png")
    folders = (tmp_path / "originals", tmp_path / "copies")
    status, answer = home.json("compare", *folders, "--blind", "-o", tmp_path / "made.html")
    assert status == 0
    assert (answer["faces"], answer["alike_or_small"]) == (3, 1)
    assert sorted(answer["left_out"]) == [
        f"{folders[1]}/small.png: the photos have different sizes (512 x 512 and 60 x 60): give two versions "
        "of one photo",
        f"{folders[1]}/stranger.png: no original has its name",
        f"{folders[1]}/twice.webp: several originals have its name",
    ]
    (listed,) = re.findall(r"^const FACES = (.*);$", (tmp_path / "made.html").read_text(), re.M)
    assert len(json.loads(listed)) == 3

    one = home.run("compare", *versions, "--blind", "-o", tmp_path / "one.html")
    assert one.returncode == 0
    assert re.search(r"one\.html \(1 face of \d+ px; 4 questions\)", one.stdout)
    for words, *arguments in (
        ("no face differs", versions[0], versions[0], "--blind"),
        ("give two photos, or two folders", versions[0], folders[1], "--blind"),
        ("folders are for --blind", *folders),
        ("ends in .html", *versions, "--blind", "-o", tmp_path / "made.png"),
        ("has the name of a photo in", tmp_path / "originals" / "sub", folders[1], "--blind"),
    ):
        refused = home.run("compare", *arguments)
        assert refused.returncode == 2, refused.stderr
        assert words in refused.stderr
