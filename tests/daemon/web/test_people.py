"""The page of enrolled people: who is enrolled with which photos, and what is refused."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from served_page import Answer, ServedPage

from uncnn.daemon.people.store import read_people


def enroll(page: ServedPage, *photos: str, **fields: str) -> Answer:
    chosen = {f"photo-{photo}": "on" for photo in photos}
    return page.ask("POST", "/people/enroll", urlencode({**chosen, **fields}).encode())


def test_a_person_is_enrolled_with_dropped_photos_and_forgotten(page: ServedPage) -> None:
    first, second, other = (page.put(f"{number}.jpg", b"ada")["id"] for number in range(3))
    answer = enroll(page, first, second, name="Ada <L>", consent="on")
    assert (answer.status, answer.headers.get("location")) == (303, "/people"), answer.body
    (person,) = read_people().people
    assert (person.name, person.photos, person.consented is not None) == ("Ada <L>", 2, True)
    shown = page.ask("GET", "/people").body.decode()
    assert "Ada &lt;L&gt;" in shown
    assert f'name="photo-{other}"' in shown
    assert page.ask("POST", "/people/forget", urlencode({"name": "Ada <L>"}).encode()).status == 303
    assert read_people().people == []
    assert page.ask("POST", "/people/forget", b"name=Ada").status == 404


def test_without_consent_none_is_recorded(page: ServedPage) -> None:
    assert enroll(page, page.put("1.jpg", b"ada")["id"], name="Ada").status == 303
    assert read_people().people[0].consented is None


@pytest.mark.parametrize(("content", "words"), [(b"a crowd", "3 faces"), (b"no face", "no face")])
def test_photos_that_do_not_show_one_person_are_named(page: ServedPage, content: bytes, words: str) -> None:
    answer = enroll(page, page.put("holiday.jpg", content)["id"], name="Ada")
    assert answer.status == 422
    assert f"holiday.jpg shows {words}: use photos that show only Ada" in answer.body.decode()
    assert read_people().people == []


def test_photos_of_two_people_are_refused(page: ServedPage) -> None:
    photos = [page.put(f"{number}.jpg", content)["id"] for number, content in enumerate((b"ada", b"somebody else"))]
    answer = enroll(page, *photos, name="Ada")
    assert answer.status == 422
    assert "0.jpg and 1.jpg seem to show different people" in answer.body.decode()
    assert read_people().people == []


def test_what_is_incomplete_or_not_there_is_refused(page: ServedPage) -> None:
    photo = page.put("1.jpg", b"ada")["id"]
    for answer in (enroll(page, photo, name=" "), enroll(page, name="Ada")):
        assert answer.status == 422
        assert b"Give a name" in answer.body
    assert enroll(page, photo, "no-such", name="Ada").status == 404
    assert enroll(page, "../config", name="Ada").status == 404
    assert read_people().people == []
