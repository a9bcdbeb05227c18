"""Spoofed copies to train on: what is made, listed, made again and refused, with processes of words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scene import Scene
from stub_engine import StubEngine, stub_for

from uncnn.daemon.commands.augment import MANIFEST, augment_photos
from uncnn.daemon.config import Models, Policy
from uncnn.daemon.output import ERROR, OK
from uncnn.daemon.protect.messages import Change, Changed
from uncnn.daemon.protect.wire import Report
from uncnn.daemon.settings import Settings, SettingsError


class Given:
    """A folder of photos, and the command on it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.photos, self.out, self.capsys = root / "people", root / "spoofed", capsys
        self.photos.mkdir()
        self.status = OK

    def put(self, name: str, content: str) -> Path:
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def augment(self, **policy: Any) -> dict[str, dict[str, Any]]:
        """Return the lines of the manifest by photo."""
        settings = Settings(Models(), "auto", Policy(**policy))
        self.capsys.readouterr()
        self.status = augment_photos(settings, self.photos, self.out, True)
        told = {each["photo"]: each for each in json.loads(self.capsys.readouterr().out)["photos"]}
        lines = [json.loads(line) for line in (self.out / MANIFEST).read_text().splitlines()]
        assert {each["photo"]: each for each in lines} == told
        assert len(lines) == len(told)
        return told

    def copies(self) -> dict[str, int]:
        """Return when each copy was written, by its name."""
        there = [path for path in self.out.rglob("*") if path.is_file() and path.parent != self.out]
        return {str(path.relative_to(self.out)): path.stat().st_ino for path in there}


@pytest.fixture
def given(scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Given:
    monkeypatch.setattr("uncnn.daemon.settings.engine_for", stub_for)
    return Given(scene.root, capsys)


def test_each_photo_with_a_face_has_a_copy_at_its_place_and_a_line(given: Given) -> None:
    given.put("ada/1.jpg", "one")
    given.put("bob/1.jpg", "two")
    before = (given.photos / "ada" / "1.jpg").read_bytes()
    lines = given.augment()
    assert given.status == OK
    assert set(given.copies()) == {"ada/1.jpg", "bob/1.jpg"}
    assert {name: line["faces"] for name, line in lines.items()} == {"ada/1.jpg": 1, "bob/1.jpg": 1}
    assert (given.out / "ada" / "1.jpg").read_bytes() != before
    assert (given.photos / "ada" / "1.jpg").read_bytes() == before
    recipe = json.loads((given.out / "recipe.json").read_text())
    assert recipe["attack"]["name"] == "veil"
    assert {line["made_by"] for line in lines.values()} == {recipe["made_by"]}


def test_what_would_come_out_the_same_is_not_made_again(given: Given) -> None:
    given.put("ada/1.jpg", "one")
    given.put("ada/2.jpg", "two")
    lines = given.augment()
    made = given.copies()
    assert given.augment() == lines
    assert given.copies() == made
    given.put("ada/2.jpg", "another")
    assert given.augment()["ada/2.jpg"]["sha256"] != lines["ada/2.jpg"]["sha256"]
    assert {name for name, inode in given.copies().items() if made[name] != inode} == {"ada/2.jpg"}


@pytest.mark.parametrize("spoilt", ["removed", "written over"])
def test_a_copy_that_is_not_as_it_was_made_is_made_again(given: Given, spoilt: str) -> None:
    given.put("ada/1.jpg", "one")
    line = given.augment()["ada/1.jpg"]
    copy = given.out / "ada" / "1.jpg"
    whole = copy.read_bytes()
    if spoilt == "removed":
        copy.unlink()
    else:
        copy.write_text("something")
    assert given.augment()["ada/1.jpg"] == line
    assert copy.read_bytes() == whole


def test_another_attack_makes_all_anew(given: Given) -> None:
    given.put("ada/1.jpg", "one")
    before, made = given.augment(), given.copies()
    after = given.augment(attack={"name": "pgd", "strength": "strong"})
    assert after["ada/1.jpg"]["made_by"] != before["ada/1.jpg"]["made_by"]
    assert given.copies() != made


def test_two_photos_never_share_a_copy(given: Given) -> None:
    given.put("ada/1.jpg", "one")
    given.put("ada/1.png", "two")
    files = {name: line["file"] for name, line in given.augment(output={"format": "jpeg"}).items()}
    assert files == {"ada/1.jpg": "ada/1.jpg", "ada/1.png": "ada/1 (2).jpg"}
    assert {name: line["file"] for name, line in given.augment(output={"format": "jpeg"}).items()} == files


def test_what_has_no_face_or_is_no_photo_is_listed_without_a_copy(
    given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    given.put("ada/1.jpg", "one")
    given.put("ada/plain.jpg", "no face")
    given.put("ada/2.jpg", "damaged")
    given.put("ada/3.jpg", "kills")
    (given.photos / "ada" / "link.jpg").symlink_to("1.jpg")
    lines = given.augment()
    assert given.status == ERROR
    assert lines["ada/plain.jpg"]["why_not"] == "no face"
    assert "it is a symbolic link" in lines["ada/link.jpg"]["why_not"]
    assert lines["ada/2.jpg"]["why_not"] == "2.jpg cannot be read: export it again"
    assert "worker" in lines["ada/3.jpg"]["why_not"]
    assert set(given.copies()) == {"ada/1.jpg"}
    augment_photos(Settings(Models(), "auto", Policy()), given.photos, given.out, False)
    said = capsys.readouterr().out
    assert "ada/plain.jpg: no face" in said
    assert "1 photo of 5 in" in said
    assert "do not share them" in said


def test_a_run_that_was_interrupted_is_gone_on_with(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        given.put(f"ada/{number}.jpg", str(number))
    change, asked = StubEngine.change, list[str]()

    def interrupted(engine: StubEngine, ask: Change, report: Report) -> Changed:
        asked.append(ask.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return change(engine, ask, report)

    monkeypatch.setattr(StubEngine, "change", interrupted)
    with pytest.raises(KeyboardInterrupt):
        given.augment()
    assert set(given.copies()) == {"ada/0.jpg"}
    assert len(given.augment()) == 3
    assert asked == ["0.jpg", "1.jpg", "1.jpg", "2.jpg"]


def test_a_broken_manifest_costs_time_alone(given: Given) -> None:
    given.put("ada/1.jpg", "one")
    lines = given.augment()
    with (given.out / MANIFEST).open("a") as manifest:
        manifest.write('{"photo": "ada/1')
    assert given.augment() == lines


@pytest.mark.parametrize("place", ["people", "people/spoofed", "."])
def test_the_folders_lie_apart(given: Given, place: str) -> None:
    given.put("ada/1.jpg", "one")
    given.out = given.photos.parent / place
    with pytest.raises(SettingsError, match="name a folder apart from"):
        given.augment()
    assert not (given.photos / MANIFEST).exists()


def test_photos_are_a_folder(given: Given) -> None:
    given.photos = given.put("1.jpg", "one")
    with pytest.raises(SettingsError, match="name the folder of the photos"):
        given.augment()
