"""By which policy and strength a dropped photo is cloaked."""

from __future__ import annotations

import pytest
from served_page import ServedPage

from uncnn.daemon.config import Config, Policy
from uncnn.daemon.web.choices import first_policy


@pytest.mark.parametrize(
    ("names", "first"), [(["everyday", "a"], "everyday"), (["only"], "only"), (["b", "a"], "b"), ([], "")]
)
def test_a_policy_is_chosen_where_none_is_named(names: list[str], first: str) -> None:
    assert first_policy(Config(version=1, policies={name: Policy() for name in names})) == first


def test_a_photo_goes_by_what_was_chosen(cleared_page: ServedPage) -> None:
    page = cleared_page
    known = [page.put("a.jpg", b"a photo", query) for query in ("", "?strength=utmost", "?policy=everyday&strength=")]
    assert [(photo["policy"], photo["strength"]) for photo in known] == [
        ("everyday", "balanced"),
        ("everyday", "utmost"),
        ("everyday", "balanced"),
    ]
