"""Pictures of photos of the ledger: only of the files that it knows, as it knows them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene import Scene
from served_page import ServedPage


def photo(comment: str) -> bytes:
    """Return a photo that the stub protects or not, by its comment; its copy is made of it by hand."""
    made = io.BytesIO()
    Image.fromarray(np.full((90, 120, 3), 128, np.uint8)).save(made, "JPEG", comment=comment.encode())
    return made.getvalue()


@pytest.fixture
def page(scene: Scene, page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPage]:
    """Return a page of a scene with one photo that is published, and one that is held; `unchanged` is the stub's."""
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    (scene.watch / "out.jpg").write_bytes(photo("unchanged"))
    (scene.watch / "held.jpg").write_bytes(photo("unchanged unprotected"))
    scene.run()
    return page


def number(page: ServedPage, name: str) -> int:
    return next(int(each["number"]) for each in page.ask("GET", "/today.json").json()["photos"] if each["name"] == name)


@pytest.mark.parametrize("name", ["out.jpg", "held.jpg"])
@pytest.mark.parametrize("which", ["original", "cloaked"])
def test_a_photo_and_its_copy_are_shown(page: ServedPage, name: str, which: str) -> None:
    path = f"/ledger/{number(page, name)}/{which}"
    answer = page.ask("GET", f"{path}/small.jpg")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(answer.body)) as opened:
        assert opened.size == (120, 90)
        assert "comment" not in opened.info
    assert page.ask("GET", f"{path}.json").json() == {"width": 120, "height": 90}


def test_a_face_is_shown_by_its_number(page: ServedPage) -> None:
    held = number(page, "held.jpg")
    answer = page.ask("GET", f"/ledger/{held}/face/1.jpg")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(answer.body)) as opened:
        assert opened.size == (75, 75), "the square around 10 to 60, cut at the border"
    for path in (f"{held}/face/2.jpg", f"{held}/face/0.jpg", "999/face/1.jpg"):
        assert page.ask("GET", f"/ledger/{path}").status == 404, path


def test_a_file_that_is_another_by_now_is_not_shown(page: ServedPage, scene: Scene) -> None:
    (scene.publish / "out.jpg").write_bytes(photo("another"))
    (scene.watch / "held.jpg").write_bytes(photo("another"))
    assert page.ask("GET", f"/ledger/{number(page, 'out.jpg')}/cloaked/small.jpg").status == 409
    assert page.ask("GET", f"/ledger/{number(page, 'held.jpg')}/original/small.jpg").status == 409
    assert page.ask("GET", f"/ledger/{number(page, 'held.jpg')}/face/1.jpg").status == 409
    assert page.ask("GET", f"/ledger/{number(page, 'out.jpg')}/original/small.jpg").status == 200


def test_a_link_in_the_place_of_a_file_is_not_followed(page: ServedPage, scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.jpg").write_bytes((scene.watch / "out.jpg").read_bytes())
    (scene.watch / "out.jpg").unlink()
    (scene.watch / "out.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    answer = page.ask("GET", f"/ledger/{number(page, 'out.jpg')}/original/small.jpg")
    assert answer.status == 503
    assert b"elsewhere" not in answer.body


@pytest.mark.parametrize("path", ["999/original/small.jpg", "1/other/small.jpg", "1/original/huge.jpg", "1/other.json"])
def test_what_there_is_not_is_refused(page: ServedPage, path: str) -> None:
    assert page.ask("GET", f"/ledger/{path}").status == 404
