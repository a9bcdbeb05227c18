"""Whom recognisers take the faces of a dropped photo for: told where it can be, and never a reason to fail."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from served_page import ServedPage

from uncnn.daemon.people.store import People, Person, Template, people_file, write_people


@pytest.fixture
def page(cleared_page: ServedPage) -> ServedPage:
    return cleared_page


def test_the_enrolled_and_strangers_are_named_before_and_after(page: ServedPage) -> None:
    write_people(
        people_file(), People(people=[Person("Ada", datetime.now(UTC), [Template("stub", "0" * 64, [[1.0]])])])
    )
    identity = page.until_done(page.put("a.jpg", b"a photo")["id"])["id"]
    page.until(lambda: page.photo(identity)["likenesses"])
    answer = page.ask("GET", f"/photos/{identity}/likenesses.json").json()
    (face,) = answer["faces"]
    (judge,) = face["recognisers"]
    assert (answer["people"], face["number"], face["found_again"], judge["name"]) == (1, 1, True, "stub")
    assert [each["name"] for each in judge["original"]["candidates"]] == ["Ada", "stranger 1"]
    assert judge["original"]["nobody"] == 0.05
    assert [each["name"] for each in judge["copy"]["candidates"]] == ["stranger 2"]
    write_people(people_file(), People())


def test_a_photo_without_faces_or_copy_is_like_nobody(page: ServedPage) -> None:
    for content in (b"no face", b"damaged"):
        photo = page.until_done(page.put("a.jpg", content)["id"])
        assert not photo["likenesses"]
        assert page.ask("GET", f"/photos/{photo['id']}/likenesses.json").status == 404


def test_people_who_cannot_be_read_cost_the_answer_alone(page: ServedPage) -> None:
    people_file().write_text("damaged")
    photo = page.until_done(page.put("a.jpg", b"a photo")["id"])
    assert photo["status"] == "protected"
    page.until_done(page.put("b.jpg", b"another")["id"])
    assert not page.photo(photo["id"])["likenesses"]
    people_file().unlink()
