"""The masks of enrolled people: kept beside the list, private, deleted with the person; made by the real processes."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from models_home import ModelsHome

from uncnn.daemon.commands.people import enroll, print_people
from uncnn.daemon.jobs.enrolment import forget
from uncnn.daemon.people import masks
from uncnn.daemon.people.store import Mask, People, PeopleError, Person, people_file, read_people, write_people
from uncnn.plugins.person_mask import SIDES, PersonMask

NOW = datetime.now(UTC)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def packed(value: float) -> bytes:
    return PersonMask(tuple(np.full((3, side, side), value, np.float32) for side in SIDES), ("a" * 64,)).packed()


def with_mask(name: str, value: float) -> Person:
    return Person(name, NOW, [], None, Mask(masks.keep(packed(value)), NOW, ["esp-mfn"]))


def test_a_mask_is_private_and_read_again(state: Path) -> None:
    person = with_mask("Ada", 0.5)
    assert person.mask is not None
    file = masks.file_of(person.mask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.is_relative_to(state)
    assert float(PersonMask.load(file).heads[0].mean()) == pytest.approx(0.5, abs=0.01)
    write_people(people_file(), People(1, [person]))
    assert read_people().people == [person]


def test_who_is_forgotten_has_no_mask(state: Path) -> None:
    people = [with_mask("Ada", 0.1), with_mask("Ben", 0.2)]
    write_people(people_file(), People(1, people))
    (masks.masks_dir() / ".mask-interrupted").write_bytes(b"half")
    forget(["Ada"])
    assert people[1].mask is not None
    assert [each.name for each in (state / "people" / "masks").iterdir()] == [masks.file_of(people[1].mask).name]
    assert [person.name for person in read_people().people] == ["Ben"]


def test_the_list_says_who_has_a_mask(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ada = with_mask("Ada", 0.1)
    assert ada.mask is not None
    write_people(people_file(), People(1, [ada, Person("Ben", NOW, [])]))
    assert print_people(as_json=False) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Ada: ")
    assert "has a mask, made" in first
    assert "mask" not in second
    assert print_people(as_json=True) == 0
    listed = json.loads(capsys.readouterr().out)["people"]
    assert [each["mask"] for each in listed] == [
        {"made": NOW.isoformat(timespec="seconds"), "recognisers": ["esp-mfn"], "sha256": ada.mask.sha256},
        None,
    ]


def test_a_list_of_before_is_read(state: Path) -> None:
    people_file().write_text('{"version": 1, "people": [{"name": "Ada", "enrolled": "2026-01-01", "templates": []}]}')
    assert [person.mask for person in read_people().people] == [None]


@pytest.mark.slow
def test_a_mask_is_made_when_a_person_is_enrolled_and_again_when_anew(
    state: Path, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ModelsHome(tmp_path).environment().items():
        if name != "UNCNN_STATE":
            monkeypatch.setenv(name, value)
    folder = shared_data / "lfw" / "identities" / "Adrien_Brody"
    photos = [folder / f"Adrien_Brody_{number:04}.jpg" for number in (1, 3, 6)]
    with pytest.raises(PeopleError, match="a mask of Adrien from 2 photos: give at least 3"):
        enroll("Adrien", photos[:2], False, None, "cpu", mask_steps=2)
    assert read_people().people == []
    assert enroll("Adrien", photos, False, None, "cpu", mask_steps=2) == 0
    assert "enrolled Adrien with 3 photos, for 5 recognisers, and made a mask" in capsys.readouterr().out
    (person,) = read_people().people
    assert person.mask is not None
    assert person.mask.recognisers == ["esp-mfn", "mobileface-v2", "mobilefacenet-foamliu"]
    mask = PersonMask.load(masks.file_of(person.mask))
    assert len(mask.surrogates) == 3
    assert max(float(np.abs(head).max()) for head in mask.heads) > 0.1
    assert enroll("Adrien", photos, False, None, "cpu") == 0  # anew, and without
    assert [each.mask for each in read_people().people] == [None]
    assert list(masks.masks_dir().iterdir()) == []
