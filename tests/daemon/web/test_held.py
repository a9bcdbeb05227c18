"""A person decides about a held photo on the page: what is published is what was on the screen, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

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
    assert held["decisions"] == ["release", "retry", "drop"]
    (face,) = held["faces"]  # type: ignore[misc]
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
