"""The data of the page are a contract: docs/web.md has every name of them, and every address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from served_page import ServedPage

from uncnn.daemon.output import SCHEMA_VERSION

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "web.md").read_text()
WORDS = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))


def names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {name for key, each in value.items() for name in (key, *names(each))}
    return {name for each in value for name in names(each)} if isinstance(value, list) else set()


@pytest.fixture
def page(cleared_page: ServedPage) -> ServedPage:
    return cleared_page


def test_every_name_of_the_state_is_documented(page: ServedPage) -> None:
    page.until_done(page.put("a.jpg", b"a photo")["id"])
    waiting = page.put("b.jpg", b"b photo")
    state = page.state()
    assert state["schema_version"] == SCHEMA_VERSION
    assert sorted(names(state) - WORDS) == []
    page.until_done(waiting["id"])


def test_every_address_is_documented(page: ServedPage) -> None:
    inside = page.server.config.app._inside
    paths = {re.sub(r"\{(\w+)(:\w+)?\}", lambda found: found[1].upper(), route.path) for route in inside.routes}
    data = {path for path in paths if path.endswith(".json") or path.count("/") > 1} - {"/static/NAME"}
    known = {"/photos/IDENTITY/WHICH/SIZE.jpg", "/ledger/NUMBER/WHICH/SIZE.jpg", "/ledger/NUMBER/WHICH.json"}
    known |= {"/held/NUMBER/DECISION", "/sessions/link", "/sessions/NUMBER/end"}
    assert [path for path in sorted(data - known) if path.replace("IDENTITY", "ID") not in PAGE] == []


def test_a_photo_is_forgotten_later_than_it_is_done(page: ServedPage) -> None:
    photo = page.until_done(page.put("a.jpg", b"a photo")["id"])
    assert 3500 < photo["forgotten_in_seconds"] <= 3600


def test_what_there_is_to_choose_from(page: ServedPage) -> None:
    choices = page.state()["choices"]
    assert choices["strengths"] == ["subtle", "balanced", "strong", "utmost"]
    (policy,) = choices["policies"]
    assert (choices["policy"], policy["name"], policy["strength"]) == ("everyday", "everyday", "balanced")
