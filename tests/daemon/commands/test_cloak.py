"""The command `cloak` on files and folders: what it does, passes over, holds and says, with processes of words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scene import Scene
from stub_engine import StubEngine, stub_for

from uncnn.daemon.commands.cloak import at_work, cloak_photos
from uncnn.daemon.commands.jobs import drop, print_held, release, retry
from uncnn.daemon.commands.status import print_status
from uncnn.daemon.config import FacesSection, Models, Policy
from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.jobs.actions import AskedError
from uncnn.daemon.jobs.recovery import recover
from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.output import DEGRADED, ERROR, NOT_RUNNING, OK
from uncnn.daemon.protect.pipeline import Detected, PhotoJob, detect
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.settings import Settings, SettingsError

SETTINGS = Settings(Models(), "auto", Policy())


class Given:
    """A scene, and the command on it."""

    def __init__(self, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
        self.scene, self.capsys = scene, capsys
        self.photos, self.out = scene.root / "photos", scene.root / "cloaked"
        self.photos.mkdir()
        self.status = OK

    def put(self, name: str, content: str) -> Path:
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def cloak(
        self, *photos: Path, out: Path | None = None, policy: Policy | None = None, **more: Any
    ) -> dict[str, Any]:
        self.capsys.readouterr()  # what was said before
        settings = SETTINGS if policy is None else Settings(Models(), "auto", policy)
        self.status = cloak_photos(settings, photos or (self.photos,), out or self.out, False, True, **more)
        return {Path(photo["photo"]).name: photo for photo in json.loads(self.capsys.readouterr().out)["photos"]}

    def said(self, *photos: Path) -> str:
        self.status = cloak_photos(SETTINGS, photos or (self.photos,), self.out, False, False)
        return self.capsys.readouterr().out

    def copies(self) -> dict[str, str]:
        there = [path for path in self.out.rglob("*") if path.is_file()]
        return {os.fspath(path.relative_to(self.out)): path.read_text() for path in there}


@pytest.fixture
def given(scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Given:
    monkeypatch.setattr("uncnn.daemon.settings.engine_for", stub_for)
    return Given(scene, capsys)


def test_a_folder_is_cloaked_with_all_below_it_in_its_structure(given: Given) -> None:
    given.put("a.jpg", "one")
    given.put("2024/May/b.jpg", "two")
    given.put("2024/.hidden.jpg", "hidden")
    given.put("notes.txt", "no photo")
    told = given.cloak()
    assert given.status == OK
    assert given.copies() == {"a.jpg": "cloaked one", "2024/May/b.jpg": "cloaked two"}
    assert {photo["status"] for photo in told.values()} == {"published"}
    assert (given.photos / "a.jpg").read_text() == "one"


def test_a_fault_that_nobody_foresaw_costs_its_photo_alone(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(engine: object, photo: PhotoJob, report: object) -> Detected:
        return detect(engine, photo, report) if photo.name == "b.jpg" else 1 / 0  # type: ignore[arg-type,return-value]

    monkeypatch.setattr("uncnn.daemon.jobs.photo_job.detect", stumble)
    told = given.cloak(given.put("a.jpg", "one"), given.put("b.jpg", "two"))
    assert told["a.jpg"]["status"] == "error"
    assert "internal error, ZeroDivisionError: division by zero" in told["a.jpg"]["message"]
    assert given.copies() == {"b.jpg": "cloaked two"}


@pytest.mark.parametrize(
    ("meanwhile", "status", "words"),
    [
        (lambda ledger, job: ledger.claim(job), "waiting", "it is being cloaked already"),
        (lambda ledger, job: ledger.supersede([job], "it was removed"), "skipped", "as before: it was removed"),
    ],
)
def test_a_photo_that_others_take_or_give_up_while_the_models_load_leaves_the_rest_alone(
    given: Given, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Ledger, Job], Any], status: str, words: str
) -> None:
    def start(engine: StubEngine) -> str:
        with Ledger(ledger_file()) as other:
            meanwhile(other, other.jobs()[0])
        return ProcessEngine.start(engine)

    monkeypatch.setattr(StubEngine, "start", start)
    told = given.cloak(given.put("a.jpg", "one"), given.put("b.jpg", "two"))
    assert (told["a.jpg"]["status"], told["a.jpg"]["message"]) == (status, words)
    assert told["b.jpg"]["status"] == "published"
    assert given.copies() == {"b.jpg": "cloaked two"}


def test_what_is_done_already_is_passed_over_without_loading_a_model(given: Given) -> None:
    given.put("a.jpg", "one")
    given.put("b.jpg", "unprotected")
    given.cloak()
    assert given.status == DEGRADED
    cloaked = given.scene.cloaked()
    given.put("c.jpg", "three")
    told = given.cloak()
    assert given.scene.cloaked() == cloaked + 1
    assert {name: (photo["status"], photo["done_before"]) for name, photo in told.items()} == {
        "a.jpg": ("published", True),
        "b.jpg": ("held", True),
        "c.jpg": ("published", False),
    }
    assert given.status == DEGRADED
    assert given.copies() == {"a.jpg": "cloaked one", "c.jpg": "cloaked three"}


@pytest.mark.slow
@pytest.mark.parametrize("change", ["content", "policy", "models", "copy gone", "copy changed", "asked", "output"])
def test_what_would_come_out_else_is_done_again(given: Given, change: str) -> None:
    photo = given.put("a.jpg", "one")
    given.cloak()
    before = given.scene.looked()
    policy, out, again = None, None, False
    if change == "content":
        photo.write_text("another")
    elif change == "policy":
        policy = Policy(metadata="camera")
    elif change == "models":
        (given.scene.root / "data" / "uncnn" / "models-of-the-stub").write_text("others")
    elif change == "copy gone":
        (given.out / "a.jpg").unlink()
    elif change == "copy changed":
        (given.out / "a.jpg").write_text("painted over")
    elif change == "output":
        out = given.scene.root / "elsewhere"
    else:
        again = True
    told = given.cloak(policy=policy, out=out, again=again)
    assert (told["a.jpg"]["status"], told["a.jpg"]["done_before"]) == ("published", False)
    assert given.scene.looked() == before + 1
    assert Path(told["a.jpg"]["published"]).read_text() == f"cloaked {photo.read_text()}"


@pytest.mark.parametrize("again", [False, True])
def test_a_picture_that_was_cloaked_elsewhere_is_cloaked_anew_where_a_person_says_so(given: Given, again: bool) -> None:
    given.put("a.jpg", "one")
    given.cloak(out=given.scene.root / "elsewhere")
    cloaked = given.scene.cloaked()
    told = given.cloak(again=again)["a.jpg"]
    assert given.scene.cloaked() == cloaked + again
    assert ("published again" in told["message"]) is not again
    assert given.copies() == {"a.jpg": "cloaked one"}


def test_a_photo_that_was_only_touched_is_still_done(given: Given) -> None:
    photo = given.put("a.jpg", "one")
    given.cloak()
    os.utime(photo, (1e9, 1e9))
    looked = given.scene.looked()
    assert given.cloak()["a.jpg"]["done_before"] is True
    assert given.scene.looked() == looked


def test_what_the_command_holds_is_listed_and_released_as_it_was_judged(given: Given) -> None:
    photo = given.put("party.jpg", "unprotected")
    number = given.cloak(photo)["party.jpg"]["number"]
    print_held(as_json=True)
    (held,) = json.loads(given.capsys.readouterr().out)["photos"]
    assert (held["number"], held["photo"], held["state"]) == (number, str(photo), "held")
    cloaked = given.scene.cloaked()
    assert release(["party.jpg"], as_json=False) == OK
    assert given.copies() == {"party.jpg": "cloaked unprotected"}
    assert given.scene.cloaked() == cloaked
    assert given.cloak(photo)["party.jpg"]["done_before"] is True


def test_a_photo_that_is_held_for_two_outputs_is_named_by_its_numbers(given: Given) -> None:
    photo = given.put("party.jpg", "unprotected")
    numbers = [given.cloak(photo)["party.jpg"]["number"]]
    numbers.append(given.cloak(photo, out=given.scene.root / "other")["party.jpg"]["number"])
    with pytest.raises(AskedError, match=f"give one of the numbers {numbers[0]}, {numbers[1]}"):
        release([str(photo)], as_json=False)
    assert release([str(numbers[1])], as_json=False) == OK
    assert (given.scene.root / "other" / "party.jpg").read_text() == "cloaked unprotected"
    assert given.copies() == {}
    assert release([str(photo)], as_json=False) == OK, "one alone is held now"
    assert release([str(photo)], as_json=False) == ERROR, "and now none is"


def test_status_names_what_a_command_holds_and_not_what_it_said_at_once(given: Given) -> None:
    photo = given.put("party.jpg", "unprotected")
    number = given.cloak(photo, given.put("b.jpg", "damaged"))["party.jpg"]["number"]
    given.capsys.readouterr()
    assert print_status(as_json=False) == DEGRADED
    said = given.capsys.readouterr().out
    assert f"held {number}: {photo}: " in said
    assert "b.jpg" not in said
    drop(["party.jpg"], every=False, as_json=False)
    given.capsys.readouterr()
    assert print_status(as_json=False) == NOT_RUNNING


@pytest.mark.slow
def test_a_failed_photo_is_tried_again_by_the_next_command_alone(given: Given) -> None:
    photo = given.put("a.jpg", "damaged")
    assert given.cloak(photo)["a.jpg"]["status"] == "error"
    assert given.status == ERROR
    looked = given.scene.looked()
    assert given.cloak(photo)["a.jpg"]["status"] == "error"
    assert given.scene.looked() == looked + 1
    killing = given.put("b.jpg", "kills the worker")
    assert "it is tried again" not in given.cloak(killing)["b.jpg"]["message"]
    given.scene.put("c.jpg", "of the watched folder")
    given.scene.run()
    assert given.scene.looked() == looked + 3, "no service takes up what a command was given"


def test_a_held_photo_that_is_to_be_tried_again_says_by_what(given: Given) -> None:
    photo = given.put("a.jpg", "unprotected")
    given.cloak(photo)
    assert retry(["a.jpg"], every=False, as_json=False) == OK
    assert f"queued; run `uncnn-daemon cloak {photo} -o {given.out}`" in given.capsys.readouterr().out
    cloaked = given.scene.cloaked()
    given.cloak(photo)
    assert given.scene.cloaked() > cloaked


def test_what_a_killed_command_left_is_done_by_the_next_one_and_not_by_the_service(given: Given) -> None:
    photo = given.put("a.jpg", "one")
    with Ledger(ledger_file()) as ledger:
        number = ledger.folders.given(given.photos, given.out)
        ledger.claim(ledger.enqueue(number, Path("a.jpg"), "0" * 64, "0" * 64, "then"))
        recover(ledger)
        assert [job.state for job in ledger.jobs()] == [State.RUNNING], "that one may be at work"
        with at_work(ledger):
            assert [job.state for job in ledger.jobs()] == [State.QUEUED]
            ledger.claim(ledger.jobs()[0])
            with at_work(ledger):
                assert [job.state for job in ledger.jobs()] == [State.RUNNING], "the first one is at work"
    assert given.cloak(photo)["a.jpg"]["status"] == "published"


def test_the_output_is_none_of_the_photos(given: Given) -> None:
    given.put("a.jpg", "one")
    inside = given.photos / "cloaked"
    given.cloak(out=inside)
    given.cloak(out=inside)
    assert sorted(path.name for path in inside.rglob("*") if path.is_file()) == ["a.jpg"]
    with pytest.raises(SettingsError, match="is the folder of the photos"):
        given.cloak(out=given.photos)


def test_each_photo_is_done_once_however_it_was_named(given: Given) -> None:
    photo = given.put("a.jpg", "one")
    link = given.photos.with_name("link.jpg")
    link.symlink_to(photo)
    assert len(given.cloak(photo, given.photos, photo.parent / ".." / "photos" / "a.jpg", link)) == 1


def test_what_cannot_be_read_is_named_and_the_others_go_on(given: Given) -> None:
    photo = given.put("a.jpg", "one")
    (given.photos / "empty").mkdir()
    (given.photos / "loop.jpg").symlink_to("loop.jpg")
    told = given.cloak(given.photos / "missing.jpg", given.photos / "empty", given.photos / "loop.jpg", photo)
    assert given.status == ERROR
    assert "no such file" in told["missing.jpg"]["message"]
    assert "there are no photos in the folder" in told["empty"]["message"]
    assert told["loop.jpg"]["status"] == "error"
    assert told["a.jpg"]["status"] == "published"


@pytest.mark.slow
def test_a_summary_says_how_many_and_what_next(given: Given) -> None:
    given.put("a.jpg", "one")
    given.put("b.jpg", "unprotected")
    given.put("c.jpg", "damaged")
    said = given.said()
    assert "1 published, 1 held, 1 failed; " in said
    number = next(job.id for job in _jobs(given) if job.state is State.HELD)
    assert f"uncnn-daemon held show {number} " in said
    again = given.said()
    assert "1 held, 1 failed, 1 done before; " in again
    assert "a.jpg" not in again, "what was done before has no line"


def test_many_photos_have_a_line_each_and_no_table(given: Given) -> None:
    for number in range(11):
        given.put(f"{number}.jpg", f"photo {number}")
    said = given.said()
    assert "11 published; " in said
    assert "recogniser" not in said
    assert "recogniser" in given.said(given.put("one.jpg", "one more"))


def _jobs(given: Given) -> list[Any]:
    with Ledger(given.scene.state / "ledger.sqlite3") as ledger:
        return ledger.jobs()


def test_a_command_that_uses_the_services_models_waits_for_no_library_of_arrays() -> None:
    code = (
        "import sys, uncnn.daemon.commands.cloak; print(*{'numpy', 'PIL', 'torch', 'onnxruntime'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_video_whose_face_the_policy_spares_is_published_with_it(given: Given) -> None:
    told = given.cloak(given.put("a.mp4", "unprotected"), policy=Policy(faces=FacesSection(who="only-enrolled")))
    assert told["a.mp4"]["status"] == "published"
    assert "1 face left unchanged (policy faces.who: only-enrolled)" in told["a.mp4"]["message"]


def test_a_folder_with_videos_is_done_photos_first_and_without_the_extra_says_so(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.put("a.mp4", "good")
    given.put("b.jpg", "good too")
    told = given.cloak()
    assert {name: each["status"] for name, each in told.items()} == {"b.jpg": "published", "a.mp4": "published"}
    assert next(iter(told)) == "b.jpg"
    assert given.cloak()["a.mp4"]["done_before"]
    monkeypatch.setattr("uncnn.plugins.extras.find_spec", lambda _name: None)
    given.put("c.mov", "good three")
    told = given.cloak()
    assert given.status == ERROR
    assert "c.mov: a video needs the extra video" in told["c.mov"]["message"]
    assert told["b.jpg"]["done_before"]
    assert told["a.mp4"]["done_before"]
    assert set(given.cloak(policy=Policy(videos="ignore"))) == {"b.jpg"}
