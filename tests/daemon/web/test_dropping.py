"""What is done with a dropped photo: nothing is given that was not judged, or that a person did not decide about."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest
from served_page import ServedPage


@pytest.fixture
def page(cleared_page: ServedPage) -> ServedPage:
    return cleared_page


def test_the_copy_that_was_judged_is_given(page: ServedPage) -> None:
    photo = page.until_done(page.put("Fête 1.jpg".replace("ê", "%C3%AA").replace(" ", "%20"), b"a photo")["id"])
    answer = page.ask("GET", f"/photos/{photo['id']}/cloaked")
    assert answer.body == b"cloaked a photo"
    assert hashlib.sha256(answer.body).hexdigest() == photo["cloaked"]["sha256"]
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''F%C3%AAte%201.jpg"
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_held_copy_is_given_once_a_person_decided(page: ServedPage) -> None:
    photo = page.until_done(page.put("a.jpg", b"unprotected")["id"])
    path, sha256 = f"/photos/{photo['id']}", photo["cloaked"]["sha256"]
    assert page.ask("GET", f"{path}/cloaked").status == 404
    for wrong in (b"", b"sha256=", b"sha256=" + b"0" * 64, f"sha256={photo['sha256']}".encode()):
        assert page.ask("POST", f"{path}/release", wrong).status == 409
        assert page.ask("GET", f"{path}/cloaked").status == 404
    assert page.ask("POST", f"{path}/release", f"sha256={sha256}".encode()).status == 204
    assert page.ask("GET", f"{path}/cloaked").body == b"cloaked unprotected"


def test_what_was_decided_about_is_not_what_comes_after(page: ServedPage) -> None:
    """Another attempt makes another copy: it has to be looked at, and decided about, anew."""
    photo = page.until_done(page.put("a.jpg", b"unprotected")["id"])
    path, form = f"/photos/{photo['id']}", f"sha256={photo['cloaked']['sha256']}".encode()
    page.ask("POST", f"{path}/release", form)
    assert page.ask("POST", f"{path}/retry", b"strength=strong").status == 204
    assert page.ask("GET", f"{path}/cloaked").status == 404
    again = page.until_done(photo["id"])
    assert (again["status"], again["strength"], again["cloaked"]["given"]) == ("held", "strong", False)


def test_all_that_is_given_comes_as_one_file(page: ServedPage) -> None:
    assert page.ask("GET", "/photos.zip").status == 404
    contents = [b"first", b"second", b"unprotected", b"damaged"]
    for content in contents:
        page.until_done(page.put("a.jpg", content)["id"])
    answer = page.ask("GET", "/photos.zip")
    assert int(answer.headers["content-length"]) == len(answer.body)
    with zipfile.ZipFile(io.BytesIO(answer.body)) as opened:
        assert opened.testzip() is None
        found = {name: opened.read(name) for name in opened.namelist()}
    assert found == {"a.jpg": b"cloaked first", "a (2).jpg": b"cloaked second"}


def test_photos_are_forgotten_on_a_button(page: ServedPage) -> None:
    photos = [page.until_done(page.put(f"{number}.jpg", b"a photo")["id"]) for number in range(3)]
    assert page.ask("POST", f"/photos/{photos[0]['id']}/forget", b"").status == 204
    assert [each["id"] for each in page.state()["photos"]] == [each["id"] for each in photos[1:]]
    assert page.ask("GET", f"/photos/{photos[0]['id']}/cloaked").status == 404
    answer = page.ask("POST", "/photos/forget", b"", Accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert page.state()["photos"] == []
    assert list(page.folder.iterdir()) == []


def test_the_page_can_be_read_without_a_script(page: ServedPage) -> None:
    photo = page.until_done(page.put("%3Cscript%3E.jpg", b"unprotected")["id"])
    shown = page.ask("GET", "/", Accept="text/html").body.decode()
    assert "&lt;script&gt;.jpg" in shown
    assert "<script>.jpg" not in shown
    assert f'id="photo-{photo["id"]}"' in shown
    assert photo["cloaked"]["sha256"] in shown


def test_a_policy_that_skips_a_photo_gives_none(strict_page: ServedPage) -> None:
    page = strict_page
    photo = page.until_done(page.put("a.jpg", b"no face")["id"])
    assert (photo["status"], photo["cloaked"]) == ("no-face", None)
    held = page.until_done(page.put("b.jpg", b"an animal")["id"])
    assert (held["status"], held["cloaked"]["given"]) == ("held", False)
    assert held["faces"][0]["uncertain"] == "it may be an animal"
