"""What a person asks of the ledger: lists, another attempt, releasing and dropping what is held."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scene import Scene

from uncnn.daemon.commands.jobs import drop, print_held, print_jobs, release, retry
from uncnn.daemon.jobs.actions import AskedError
from uncnn.daemon.ledger import State
from uncnn.daemon.output import ERROR, OK


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


@pytest.fixture
def ran(scene: Scene, capsys: pytest.CaptureFixture[str]) -> Scene:
    """Return a scene in which one photo is out, one held, one damaged and one waits for an attempt."""
    scene.put("good.jpg", "good")
    scene.put("held.jpg", "unprotected")
    scene.put("damaged.jpg", "damaged")
    scene.put("kills.jpg", "kills the worker")
    assert scene.run() == ERROR
    capsys.readouterr()
    return scene


def test_nothing_was_ever_taken(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_jobs((), 50, as_json=False) == OK
    assert said(capsys) == "no photo has been processed yet\n"
    assert print_held(as_json=True) == OK
    assert json.loads(said(capsys)) == {"schema_version": 2, "photos": [], "in_all": 0}
    assert not (scene.state / "ledger.sqlite3").exists()  # asking makes nothing


def test_each_photo_is_listed_with_what_became_of_it(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    print_jobs((), None, as_json=True)
    listed = {Path(photo["photo"]).name: photo for photo in json.loads(said(capsys))["photos"]}
    assert {name: photo["state"] for name, photo in listed.items()} == {
        "good.jpg": "published",
        "held.jpg": "held",
        "damaged.jpg": "quarantined",
        "kills.jpg": "retry",
    }
    assert listed["good.jpg"]["published"] == str(ran.publish / "good.jpg")
    assert listed["kills.jpg"]["next_attempt"] is not None
    assert listed["kills.jpg"]["attempts"] == 1
    print_jobs(["held", "quarantined"], 1, as_json=False)
    words = said(capsys)
    assert "the newest 1 of 2" in words
    assert "good.jpg" not in words
    print_held(as_json=False)
    words = said(capsys)
    assert "held.jpg: 1 of 1 face not protected" in words
    assert "damaged.jpg" in words
    assert "kills.jpg" not in words


def test_an_unknown_state_or_photo_is_named(ran: Scene) -> None:
    with pytest.raises(AskedError, match=r"'hold'.*held"):
        print_jobs(["hold"], 50, as_json=False)
    with pytest.raises(AskedError, match="there is no photo number 99"):
        retry(["99"], every=False, as_json=False)
    with pytest.raises(AskedError, match=r"uncnn knows no photo .*nowhere\.jpg"):
        retry([str(ran.watch / "nowhere.jpg")], every=False, as_json=False)


def test_what_is_released_goes_out_with_the_reason_and_holds_for_this_content_alone(
    ran: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = ran.watch / "held.jpg"
    assert release([str(photo)], as_json=False) == OK
    assert said(capsys).endswith(f"held.jpg: published -> {ran.publish / 'held.jpg'}\n")
    ran.run()
    assert ran.published()["held.jpg"] == "cloaked unprotected"
    ran.check()
    assert "a person published it all the same" in ran.jobs()["held.jpg"].reason
    photo.write_text("unprotected too")
    ran.run()
    assert ran.states()["held.jpg"] is State.HELD
    assert set(ran.published()) == {"good.jpg", "held.jpg"}


def test_only_what_is_held_is_released(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("good.jpg", "damaged.jpg"):
        assert release([str(ran.watch / name)], as_json=True) == ERROR
        (photo,) = json.loads(said(capsys))["photos"]
        assert "not held" in photo["problem"]
    assert list(ran.published()) == ["good.jpg"]


def test_another_attempt_has_all_attempts_before_it(ran: Scene) -> None:
    (ran.watch / "kills.jpg").unlink()
    job = ran.jobs()["damaged.jpg"]
    assert retry([str(job.id)], every=False, as_json=False) == OK
    assert (ran.jobs()["damaged.jpg"].state, ran.jobs()["damaged.jpg"].attempts) == (State.QUEUED, 0)
    looked = ran.looked()
    assert ran.run() == ERROR
    assert ran.looked() == looked + 1
    assert ran.states()["damaged.jpg"] is State.QUARANTINED


def test_all_that_failed_and_nothing_that_is_held_is_tried_again(ran: Scene) -> None:
    assert retry((), every=True, as_json=False) == OK
    states = ran.states()
    assert states["damaged.jpg"] is states["kills.jpg"] is State.QUEUED
    assert states["held.jpg"] is State.HELD


def test_what_is_dropped_is_done(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert drop((), every=True, as_json=False) == OK
    (ran.watch / "kills.jpg").unlink()
    assert ran.run() == OK
    assert ran.states()["held.jpg"] is ran.states()["damaged.jpg"] is State.SKIPPED
    assert (ran.watch / "held.jpg").read_text() == "unprotected"
    assert list(ran.published()) == ["good.jpg"]


def test_the_ledger_of_an_older_uncnn_is_brought_up_to_date(ran: Scene) -> None:
    ran.make_ledger_older(1)
    assert release([str(ran.watch / "held.jpg")], as_json=False) == OK
    assert ran.run() == ERROR  # damaged.jpg still cannot be read
    assert set(ran.published()) == {"good.jpg", "held.jpg"}
