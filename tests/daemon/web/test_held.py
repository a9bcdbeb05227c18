"""A person decides about a held photo on the page: what is published is what was on the screen, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from scene import Scene
from served_page import Answer, ServedPage

from uncnn.daemon.files.kept import kept_dir
from uncnn.daemon.ledger import State


@pytest.fixture
def page(scene: Scene, page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPage]:
    """Return a page of a scene with one photo that is held, and one that failed."""
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    scene.put("held.jpg", "unprotected")
    scene.put("failed.jpg", "damaged")
    scene.run()
    return page


def waiting(page: ServedPage) -> dict[str, dict[str, object]]:
    return {photo["name"]: photo for photo in page.ask("GET", "/held.json").json()["photos"]}


def decide(page: ServedPage, name: str, decision: str, form: str = "", **headers: str) -> Answer:
    number = waiting(page)[name]["number"]
    return page.ask("POST", f"/held/{number}/{decision}", form.encode(), **headers)


def test_what_waits_is_shown_with_who_links_it(page: ServedPage) -> None:
    photos = waiting(page)
    held, failed = photos["held.jpg"], photos["failed.jpg"]
    assert held["sha256"] == hashlib.sha256(b"cloaked unprotected").hexdigest()
    assert (held["decisions"], held["stronger"]) == (["release", "retry", "drop"], None), "the strongest was tried"
    (face,) = held["faces"]  # type: ignore[misc]
    assert (face["number"], face["decisions"]) == (1, ["leave", "not-a-person"])
    assert (face["state"], [each["name"] for each in face["recognisers"] if each["linked"]]) == ("linked", ["stub"])
    assert (failed["sha256"], failed["decisions"], failed["state"]) == (None, ["retry", "drop"], "quarantined")
    shown = page.ask("GET", "/held").body.decode()
    assert str(held["sha256"]) in shown
    assert "stub (as-is, 55 % past a match)" in shown


def test_the_copy_that_was_on_the_screen_is_published(page: ServedPage, scene: Scene) -> None:
    answer = decide(page, "held.jpg", "release", f"sha256={waiting(page)['held.jpg']['sha256']}")
    assert (answer.status, answer.json()["state"]) == (200, "published")
    assert answer.json()["published"] == str(scene.publish / "held.jpg")
    assert scene.published() == {"held.jpg": "cloaked unprotected"}
    assert set(waiting(page)) == {"failed.jpg"}
    scene.check()


@pytest.mark.parametrize("form", ["", "sha256=", "sha256=" + "0" * 64])
def test_another_copy_is_not(page: ServedPage, scene: Scene, form: str) -> None:
    answer = decide(page, "held.jpg", "release", form)
    assert answer.status == 409
    assert "look at the photo again" in answer.json()["problem"]
    assert scene.published() == {}
    assert scene.states()["held.jpg"] is State.HELD


def test_a_copy_that_was_changed_on_the_disk_is_not_published(page: ServedPage, scene: Scene) -> None:
    sha256 = waiting(page)["held.jpg"]["sha256"]
    (kept,) = kept_dir().glob("*.jpg")
    kept.write_text("another")
    answer = decide(page, "held.jpg", "release", f"sha256={sha256}")
    assert (answer.status, "was changed" in answer.json()["problem"]) == (409, True)
    assert scene.published() == {}


def test_a_copy_that_is_no_longer_kept_is_not_made_and_published_unseen(page: ServedPage, scene: Scene) -> None:
    sha256 = waiting(page)["held.jpg"]["sha256"]
    (kept,) = kept_dir().glob("*.jpg")
    kept.unlink()
    photo = waiting(page)["held.jpg"]
    assert (photo["sha256"], photo["decisions"]) == (None, ["retry", "drop"])
    assert [face["decisions"] for face in photo["faces"]] == [[]]  # type: ignore[attr-defined]
    assert decide(page, "held.jpg", "release", f"sha256={sha256}").status == 409
    scene.run()
    assert scene.published() == {}
    assert "no longer stored" in page.ask("GET", "/held").body.decode()


def test_a_photo_is_tried_again_or_dropped(page: ServedPage, scene: Scene) -> None:
    assert decide(page, "failed.jpg", "retry").json()["state"] == "queued"
    assert decide(page, "held.jpg", "drop").json()["state"] == "skipped"
    assert waiting(page) == {}
    assert list(kept_dir().glob("*.jpg")) == []
    assert scene.published() == {}


def about(page: ServedPage, name: str, **fields: object) -> str:
    shown = {"sha256": waiting(page)[name]["sha256"], **fields}
    return "&".join(f"{key}={value}" for key, value in shown.items())


def test_a_face_is_left_as_it_is_and_that_is_taken_back(page: ServedPage, scene: Scene) -> None:
    scene.put("twins.jpg", "unprotected twins")
    scene.run()
    answer = decide(page, "twins.jpg", "leave", about(page, "twins.jpg", face=2))
    assert (answer.status, answer.json()["state"]) == (200, "queued")
    (decision,) = scene.jobs()["twins.jpg"].decisions
    assert (decision.kind, decision.box, decision.by) == ("leave", (62, 30, 94, 62), "page")
    scene.run()
    faces: Any = waiting(page)["twins.jpg"]["faces"]
    assert [(face["state"], face["decisions"]) for face in faces] == [
        ("linked", ["leave", "not-a-person"]),
        ("left-as-asked", ["undo"]),
    ]
    assert "left as you asked" in page.ask("GET", "/held").body.decode()
    decide(page, "twins.jpg", "undo", about(page, "twins.jpg", face=2))
    scene.run()
    assert scene.jobs()["twins.jpg"].decisions == ()
    assert scene.states()["twins.jpg"] is State.HELD


def test_what_is_no_person_is_left_and_the_photo_published(page: ServedPage, scene: Scene) -> None:
    assert decide(page, "held.jpg", "not-a-person", about(page, "held.jpg", face=1)).status == 200
    scene.run()
    assert scene.states()["held.jpg"] is State.PUBLISHED
    assert "left as you asked: not a person" in page.ask("GET", "/today").body.decode()


@pytest.mark.parametrize("decision", ["leave", "not-a-person", "undo", "stronger"])
def test_nothing_is_decided_about_a_copy_that_was_not_on_the_screen(
    page: ServedPage, scene: Scene, decision: str
) -> None:
    for shown in ("", "0" * 64):
        answer = decide(page, "held.jpg", decision, f"face=1&strength=utmost&sha256={shown}")
        assert (answer.status, "look at the photo again" in answer.json()["problem"]) == (409, True)
    assert scene.states()["held.jpg"] is State.HELD
    assert scene.jobs()["held.jpg"].decisions == ()


def test_nothing_is_decided_about_a_photo_that_was_changed(page: ServedPage, scene: Scene) -> None:
    form = about(page, "held.jpg", face=1)
    scene.put("held.jpg", "unprotected, painted over")
    answer = decide(page, "held.jpg", "leave", form)
    assert (answer.status, "was changed since it was held" in answer.json()["problem"]) == (409, True)
    assert scene.jobs()["held.jpg"].decisions == ()


def test_a_face_or_strength_that_there_is_not_is_refused(page: ServedPage, scene: Scene) -> None:
    for decision, more, status in (
        ("leave", {"face": 2}, 404),
        ("leave", {"face": 0}, 404),
        ("leave", {"face": "x"}, 400),
        ("leave", {}, 400),
        ("stronger", {"strength": "more"}, 400),
        ("stronger", {}, 400),
    ):
        assert decide(page, "held.jpg", decision, about(page, "held.jpg", **more)).status == status, (decision, more)
    assert scene.states()["held.jpg"] is State.HELD


def test_the_next_strength_is_named_and_tried(page: ServedPage, scene: Scene) -> None:
    scene.configure(policy="{escalate: []}")
    scene.put("weak.jpg", "needs utmost")
    scene.run()
    for strength in ("strong", "utmost"):
        photo = waiting(page)["weak.jpg"]
        assert (photo["stronger"], photo["decisions"]) == (strength, ["release", "retry", "stronger", "drop"])
        assert f"Try stronger: {strength}" in page.ask("GET", "/held").body.decode()
        assert decide(page, "weak.jpg", "stronger", about(page, "weak.jpg", strength=strength)).status == 200
        scene.run()
    assert scene.published() == {"weak.jpg": "cloaked needs utmost at utmost"}


def test_a_form_is_answered_with_the_page(page: ServedPage) -> None:
    answer = decide(page, "held.jpg", "release", "sha256=0", Accept="text/html")
    assert (answer.status, b'id="step"' in answer.body) == (409, True)
    answer = decide(page, "held.jpg", "drop", Accept="text/html")
    assert (answer.status, b'id="step"' in answer.body) == (200, True)


def test_what_there_is_not_is_refused(page: ServedPage) -> None:
    for path in ("/held/999/drop", "/held/1/publish", "/held/-1/drop", "/held/1x/drop"):
        assert page.ask("POST", path, b"").status in {404, 405}, path


def test_whoever_looks_is_told(page: ServedPage) -> None:
    before = page.site.changes.version
    decide(page, "held.jpg", "drop")
    assert page.site.changes.version > before
