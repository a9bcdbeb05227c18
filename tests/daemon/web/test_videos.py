"""Videos that are dropped on the page, with processes that do what a clip says in words."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from served_page import ServedPage
from stub_clips import StubVideoEngine

from uncnn.daemon.web import dropped, uploads


@pytest.fixture(autouse=True)
def _with_stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncnn.daemon.video.protector.VideoEngine", StubVideoEngine)


def log(page: ServedPage, name: str) -> Path:
    return page.folder.parent / "data" / "uncnn" / name


def clip_files(page: ServedPage) -> list[Path]:
    state = page.folder.parent / "state"
    return [*state.glob("clips/*"), *state.glob("spool/*/*/source.clip")]


def test_a_video_is_cloaked_beside_photos_and_its_copy_is_given(page: ServedPage) -> None:
    clip = page.put("a.mp4", b"hanging")
    assert (clip["video"], clip["status"]) == (True, "waiting")
    page.until(lambda: log(page, "rendered").exists() and "a.mp4 1" in log(page, "rendered").read_text())
    assert page.until_done(page.put("b.jpg", b"a photo")["id"])["status"] == "protected", "it does not wait"
    stage = page.photo(clip["id"])["stage"]
    assert stage["name"] == "changing"
    log(page, "go on").touch()
    done = page.until_done(clip["id"])
    assert (done["status"], done["picture"], done["likenesses"]) == ("protected", None, False)
    copy = page.ask("GET", f"/photos/{clip['id']}/cloaked")
    assert copy.body == b"cloaked hanging"
    assert hashlib.sha256(copy.body).hexdigest() == done["cloaked"]["sha256"]
    assert page.ask("GET", f"/photos/{clip['id']}/original/small.jpg").status == 404
    assert page.ask("GET", "/").body.count(b"/original/large.jpg") == 1
    page.until(lambda: not clip_files(page))


def test_a_video_that_is_linked_is_held_and_one_that_is_damaged_is_said(page: ServedPage) -> None:
    held, bad = page.put("a.mov", b"unprotected"), page.put("b.webm", b"damaged")
    held = page.until_done(held["id"])
    assert (held["status"], held["cloaked"]["given"]) == ("held", False)
    assert "linked at 0:01" in held["words"]
    assert "damaged or not whole" in page.until_done(bad["id"])["words"]
    answer = page.ask("POST", f"/photos/{held['id']}/release", f"sha256={held['cloaked']['sha256']}".encode())
    assert answer.status == 204
    assert page.ask("GET", f"/photos/{held['id']}/cloaked").body == b"cloaked unprotected"


@pytest.mark.slow
def test_a_video_that_is_forgotten_in_work_is_given_up_and_leaves_nothing(page: ServedPage) -> None:
    clip = page.put("a.mp4", b"hanging")
    page.until(lambda: log(page, "rendered").exists() and "a.mp4 1" in log(page, "rendered").read_text())
    assert page.ask("POST", f"/photos/{clip['id']}/forget", b"").status == 204
    log(page, "go on").touch()
    assert page.until_done(page.put("b.mp4", b"good")["id"])["status"] == "protected"
    assert "a.mp4 2" not in log(page, "rendered").read_text()
    page.until(lambda: not clip_files(page))


def test_a_page_that_ends_in_the_middle_of_a_video_leaves_nothing(page: ServedPage) -> None:
    page.put("a.mp4", b"hanging")
    page.until(lambda: log(page, "rendered").exists() and "a.mp4 1" in log(page, "rendered").read_text())
    assert len(clip_files(page)) == 1
    page.close()
    assert clip_files(page) == []


def test_videos_have_a_limit_of_their_own_and_are_refused_without_the_extra(
    page: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page.state()["limits"]["video_bytes"] == dropped.VIDEO_LIMIT
    monkeypatch.setattr(uploads, "SIZE_LIMIT", 10)
    monkeypatch.setattr(uploads, "VIDEO_LIMIT", 20)
    assert page.ask("PUT", "/photos/a.jpg", bytes(15)).status == 413
    assert page.ask("PUT", "/photos/a.mp4", b"fifteen bytes!!").status == 201
    assert page.ask("PUT", "/photos/b.mp4", bytes(25)).status == 413
    monkeypatch.setattr("uncnn.plugins.extras.find_spec", lambda _name: None)
    answer = page.ask("PUT", "/photos/c.mp4", b"good", accept="application/json")
    assert (answer.status, answer.json()) == (
        415,
        {"refused": 'Videos need the extra video. Run: pip install "uncnn[video]"'},
    )
