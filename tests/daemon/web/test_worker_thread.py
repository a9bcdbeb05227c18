"""Dropped photos on their way: every one ends shown once, whatever the processes do."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from running import Running, is_reachable
from scene import Scene
from served_page import ServedPage

from uncnn.daemon.web import worker_thread


def spools(page: ServedPage) -> list[Path]:
    spool = page.folder.parent / "state" / "spool"
    return list(spool.iterdir()) if spool.exists() else []


@pytest.mark.parametrize(
    ("content", "status", "given", "words"),
    [
        (b"a photo", "protected", True, "1 face protected"),
        (b"an animal", "protected", True, "it may be an animal"),
        (b"unprotected photo", "held", False, "1 of 1 face not protected: stub links the face"),
        (b"no face", "no-face", True, "no face found"),
        (b"damaged", "error", None, "a.jpg cannot be read: export it again"),
    ],
)
def test_what_becomes_of_a_photo_is_said(
    cleared_page: ServedPage, content: bytes, status: str, given: bool | None, words: str
) -> None:
    photo = cleared_page.until_done(cleared_page.put("a.jpg", content)["id"])
    assert (photo["status"], photo["stage"]) == (status, None)
    assert words in photo["words"]
    if given is None:
        assert photo["cloaked"] is None
        return
    assert photo["picture"] == [100, 100]
    assert photo["seconds"] >= 0
    assert photo["cloaked"]["given"] is given
    assert photo["cloaked"]["sha256"] == hashlib.sha256(b"cloaked " + content).hexdigest()


def test_the_faces_are_shown_with_who_links_them(cleared_page: ServedPage) -> None:
    page = cleared_page
    photo = page.until_done(page.put("a.jpg", b"unprotected photo")["id"])
    (face,) = photo["faces"]
    assert (face["box"], face["state"], face["uncertain"]) == ([10, 10, 60, 60], "linked", None)
    assert photo["boxes"] == [[10, 10, 60, 60]]
    (recogniser,) = face["recognisers"]
    assert (recogniser["name"], recogniser["role"], recogniser["linked"]) == ("stub", "judge", True)
    whole = page.ask("GET", f"/photos/{photo['id']}/verdict.json").json()
    assert whole["verdict"] == "not-protected"
    assert whole["sha256"] == photo["cloaked"]["sha256"]


def test_a_process_that_dies_costs_its_photo_alone(page: ServedPage) -> None:
    dropped = [page.put(f"{number}.jpg", content) for number, content in enumerate([b"a", b"kills", b"b", b"damaged"])]
    done = [page.until_done(photo["id"])["status"] for photo in dropped]
    assert done == ["protected", "error", "protected", "error"]
    assert len(page.state()["photos"]) == 4
    assert "ended unexpectedly" in page.photo(dropped[1]["id"])["words"]


def test_a_process_that_another_brought_down_costs_nothing(page: ServedPage) -> None:
    """The first time that it is judged it hangs, and its process is killed; the second time it is done."""
    log = page.folder.parent / "data" / "uncnn" / "at work"
    photo = page.put("a.jpg", b"judged for long")
    page.until(lambda: log.exists() and bool(log.read_text()))
    os.kill(int(log.read_text()), 9)
    assert page.until_done(photo["id"])["status"] == "protected"


def test_nothing_of_a_photo_is_left_in_the_spool(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_thread, "IDLE_SECONDS", 0.1)
    page.until_done(page.put("a.jpg", b"a photo")["id"])
    page.until(lambda: not spools(page))
    assert page.until_done(page.put("b.jpg", b"b photo")["id"])["status"] == "protected", "it begins anew"


def test_a_page_that_ends_in_the_middle_leaves_nothing(page: ServedPage) -> None:
    page.put("a.jpg", b"slow")
    log = page.folder.parent / "data" / "uncnn" / "looked"
    page.until(log.exists)
    page.close()
    assert spools(page) == []


def test_a_photo_that_is_forgotten_in_work_leaves_nothing(page: ServedPage) -> None:
    first, second = page.put("a.jpg", b"judged for long"), page.put("b.jpg", b"b photo")
    log = page.folder.parent / "data" / "uncnn" / "at work"
    page.until(lambda: log.exists() and bool(log.read_text()))
    assert page.ask("POST", f"/photos/{first['id']}/forget", b"").status == 204
    os.kill(int(log.read_text()), 9)
    page.until_done(second["id"])
    assert {file.name.partition(".")[0] for file in page.folder.iterdir()} == {second["id"]}
    assert [photo["id"] for photo in page.state()["photos"]] == [second["id"]]


def test_a_fault_of_our_own_is_not_shown(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("/home/me/secret")

    monkeypatch.setattr(worker_thread, "cloak", broken)
    photo = page.until_done(page.put("a.jpg", b"a photo")["id"])
    assert photo["status"] == "error"
    assert "secret" not in photo["words"]


def test_a_photo_in_work_is_not_begun_again(page: ServedPage) -> None:
    photo = page.put("a.jpg", b"slow")
    assert page.ask("POST", f"/photos/{photo['id']}/retry", b"").status == 409
    assert page.ask("POST", f"/photos/{photo['id']}/release", b"sha256=0").status == 409


@pytest.mark.slow
def test_photos_that_are_dropped_while_the_service_is_killed_end_shown_once(
    scene: Scene, page: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    monkeypatch.setenv("XDG_DATA_HOME", str(scene.root / "data"))
    service = Running(scene)
    service.until(is_reachable)
    with ThreadPoolExecutor(6) as browser:  # as many connections as browsers make
        dropped = list(browser.map(lambda number: page.put(f"{number}.jpg", b"photo %d" % number), range(50)))
    served = set()
    for done in (5, 15, 25):
        page.until(lambda done=done: _count(page, "protected") >= done)  # type: ignore[misc]
        served.add(page.state()["processes"])
        service.kill()
        service.start()
    assert "the running service" in served
    assert [page.until_done(photo["id"])["status"] for photo in dropped] == 50 * ["protected"]
    assert len(page.state()["photos"]) == 50
    assert service.stop() == 0


def _count(page: ServedPage, status: str) -> int:
    return sum(photo["status"] == status for photo in page.state()["photos"])
